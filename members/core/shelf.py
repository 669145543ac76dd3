"""Which images may leave a member's own engine to make room there. Asks no engine and reads no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from members.core.imageref import parse
from members.core.retention import is_built

BUILT_LABEL = "repo2docker.repo"  # every image that repo2docker makes has it


@dataclass(frozen=True, slots=True)
class Shelved:
    """An image on an engine. `own` are bytes that no other image shares; `containers` use it, running or not."""

    names: tuple[str, ...]
    own: int
    containers: int
    built: bool  # whether it has BUILT_LABEL


@dataclass(frozen=True, slots=True)
class Shelf:
    """All images of an engine; `layers` are the bytes of all of them, what they share counted once."""

    images: tuple[Shelved, ...]
    layers: int

    def taken(self, image_prefix: str) -> int:
        """Bytes of the federation's images, and of what other images share with any."""
        others = sum(image.own for image in self.images if not _is_ours(image, image_prefix))
        return self.layers - others

    def idle(self, image_prefix: str) -> list[str]:
        """The names of the federation's images that no container uses."""
        free = [image for image in self.images if image.containers == 0 and _is_ours(image, image_prefix)]
        return [name for image in free for name in image.names]


def oldest_first(last_use: Mapping[str, float], *, before: float) -> list[str]:
    """The names last used before `before`, the longest unused first. Times in Unix seconds."""
    return sorted((name for name, at in last_use.items() if at < before), key=last_use.__getitem__)


def _is_ours(image: Shelved, image_prefix: str) -> bool:
    """An image with one name that is not a builder's is somebody's who wants to keep it."""
    return image.built and bool(image.names) and all(_is_built(name, image_prefix) for name in image.names)


def _is_built(name: str, image_prefix: str) -> bool:
    found = parse(name)
    return found.host == parse(f"{image_prefix}x").host and is_built(found.repository, image_prefix)
