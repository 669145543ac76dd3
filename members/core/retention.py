"""Which images of the federation may go, and why the others stay. Deletes nothing and reads no clock."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from members.core import imagename, units
from members.core.imageref import parse
from members.core.usage import Known, LastUse

_BUILT = re.compile(r"[a-z0-9-]*-[0-9a-f]{6}")  # what a builder puts after the prefix: a slug and its hash
_FIRST_IMAGES = 1.3e9  # Unix seconds; an image from before Docker has a date that somebody made up


@dataclass(frozen=True, slots=True)
class Blob:
    """One piece of an image; images share pieces."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Pieces:
    """What a tag stands for. `created` is the image's own word, None without one; Unix seconds.

    `parts` are the digests of the manifests that an index names: they have no tags of their own.
    """

    digest: str
    blobs: tuple[Blob, ...]
    created: float | None
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Image:
    """One tag in the registry."""

    repository: str
    tag: str
    pieces: Pieces
    last_use: LastUse | None = None

    @property
    def name(self) -> str:
        return f"{self.repository}:{self.tag}"

    @property
    def size(self) -> int:
        """Bytes, compressed as in the registry, shared pieces included."""
        return sum(blob.size for blob in set(self.pieces.blobs))


@dataclass(frozen=True, slots=True)
class Policy:
    """What may go: unused for `unused_for` seconds, larger than `larger_than` bytes, and named by no `keep`.

    `grace`: seconds more for images without any record of use, which a member may have used that keeps none.
    """

    unused_for: float
    grace: float
    larger_than: int | None = None
    keep: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an image and why, as a sentence without its subject."""

    image: Image
    goes: bool
    reason: str


def is_built(repository: str, image_prefix: str) -> bool:
    """Whether a repository of the registry holds images that builders of this federation made."""
    path = path_of(image_prefix)
    return repository.startswith(path) and _BUILT.fullmatch(repository[len(path) :]) is not None


def path_of(image_prefix: str) -> str:
    """The prefix as it begins the names of repositories in the registry, without the registry's host."""
    # The names of images are made lower case, and an underscore of the prefix becomes a dash, as in imagename.
    return parse(f"{image_prefix}x".lower().replace("_", "-")).repository.removesuffix("x")


def judge(
    images: Sequence[Image], known: Known, policy: Policy, image_prefix: str, now: float
) -> list[Verdict]:
    """A verdict for every image. Tags that share one digest go together or not at all: deletion is by digest."""
    alone = [_alone(image, known, policy, image_prefix, now) for image in images]
    stays = {_thing(verdict.image): verdict.image.tag for verdict in alone if not verdict.goes}
    return [
        Verdict(verdict.image, False, f"is the same as its tag {stays[_thing(verdict.image)]}, which stays")
        if verdict.goes and _thing(verdict.image) in stays
        else verdict
        for verdict in alone
    ]


def freed(verdicts: Iterable[Verdict]) -> int:
    """Bytes that only images which go refer to: what the registry's garbage collection can give back."""
    going: set[Blob] = set()
    staying: set[Blob] = set()
    for verdict in verdicts:
        (going if verdict.goes else staying).update(verdict.image.pieces.blobs)
    return sum(blob.size for blob in going - staying)


def _thing(image: Image) -> tuple[str, str]:
    return image.repository, image.pieces.digest


def _alone(image: Image, known: Known, policy: Policy, image_prefix: str, now: float) -> Verdict:
    if image.repository in known.pushing:
        return Verdict(image, False, "is being pushed to")
    pinned = next((pattern for pattern in policy.keep if _matches(image, pattern, image_prefix)), None)
    if pinned is not None:
        return Verdict(image, False, f"is kept by {pinned}")
    if policy.larger_than is not None and image.size <= policy.larger_than:
        return Verdict(image, False, f"is not larger than {units.in_bytes(policy.larger_than)}")
    return _by_age(image, policy, now)


def _by_age(image: Image, policy: Policy, now: float) -> Verdict:
    told = image.pieces.created
    created = told if told is not None and told > _FIRST_IMAGES else None
    if image.last_use is not None:
        last, limit = max(image.last_use.at, created or 0.0), policy.unused_for
        said = f"last used {units.in_days(now - image.last_use.at)} ago on {image.last_use.member}"
        if last > image.last_use.at:
            said = f"built anew {units.in_days(now - last)} ago"
    elif created is not None:
        last, limit = created, policy.unused_for + policy.grace
        said = f"no use recorded, created {units.in_days(now - created)} ago"
    else:
        return Verdict(image, False, "has neither a record of use nor a date of creation")
    return Verdict(image, now - last > limit, said)


def _matches(image: Image, pattern: str, image_prefix: str) -> bool:
    """A pattern is a glob for the image's name, or a repository as people write it: user/repository or a URL."""
    if any(fnmatchcase(text, pattern) for text in (image.name, image.repository)):
        return True
    slugs = (pattern, pattern.replace("/", "-"))
    return any(
        parse(imagename.image_name(image_prefix, slug, "x")).repository == image.repository for slug in slugs
    )
