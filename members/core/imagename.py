"""Names of images and builds, byte for byte as BinderHub makes them. Knows no registry.

All members of a federation, stock BinderHubs included, must come to the same name for the same version of a
repository: that is how an image built by one is found by the others (BINDER-PROTOCOL §4).
"""

from __future__ import annotations

import hashlib
import string

_KEPT = frozenset(string.ascii_letters + string.digits)
_NAME_LENGTH = 255  # of an image name, prefix included
_BUILD_LENGTH = 50  # of the repository's part of a build name; the whole stays under Kubernetes' 63
_NAME_HASH, _REF_HASH = 6, 2


def escape(text: str) -> str:
    """ASCII letters and digits stay; any other character becomes `-` and its hex, per UTF-8 byte."""
    return "".join(
        char if char in _KEPT else "".join(f"-{byte:X}" for byte in char.encode("utf-8")) for char in text
    )


def slug(text: str, limit: int, hash_length: int) -> str:
    """At most `limit` characters that name `text`: its escaped beginning and a hash of all of it.

    The hash is of the text as it is, so two spellings that differ in case alone get different slugs.
    """
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()[:hash_length]
    return f"{escape(text)[: limit - hash_length - 1]}-{digest}".lower()


def image_name(prefix: str, build_slug: str, ref: str) -> str:
    """The image of one version of a repository, with its tag."""
    name = slug(build_slug, _NAME_LENGTH - len(prefix), _NAME_HASH)
    return f"{prefix}{name}:{ref}".replace("_", "-").lower()


def build_name(build_slug: str, ref: str) -> str:
    """The name of a build of one version of a repository; at most 63 characters."""
    return f"build-{slug(build_slug, _BUILD_LENGTH, _NAME_HASH)}-{slug(ref, 6, _REF_HASH)[:6]}".lower()


def without_tag(image: str) -> str:
    """The image's name, which all versions of its repository share."""
    name, colon, tag = image.rpartition(":")
    return name if colon and "/" not in tag else image
