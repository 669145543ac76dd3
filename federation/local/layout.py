"""Where a local federation keeps its files. Knows paths and names, no process and no file format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase

FRONT_DOOR = "front-door"
REGISTRY = "registry"
PROMETHEUS = "prometheus"
MOST_MEMBERS = len(ascii_lowercase)


def member_names(count: int) -> tuple[str, ...]:
    """`member-a`, `member-b`, ...; at most MOST_MEMBERS."""
    return tuple(f"member-{letter}" for letter in ascii_lowercase[:count])


@dataclass(frozen=True, slots=True)
class Layout:
    """The folder that `up` owns. What is not an image or a build can be made again from nothing."""

    root: Path

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def token(self) -> Path:
        return self.root / "operator-token"

    @property
    def ready(self) -> Path:
        return self.root / "federation.json"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def build_secret(self) -> Path:
        return self.root / "build-secret"

    @property
    def registry(self) -> Path:
        return self.root / "registry"

    @property
    def registry_port(self) -> Path:
        return self.root / "registry-port"

    @property
    def view(self) -> Path:
        return self.root / "members-view.json"

    @property
    def repositories(self) -> Path:
        return self.root / "repositories"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def pids(self) -> Path:
        return self.root / "run"

    def config(self, name: str) -> Path:
        return self.root / f"{name}.yaml"

    def state(self, name: str) -> Path:
        return self.root / name

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def pid(self, name: str) -> Path:
        return self.pids / f"{name}.json"

    def create(self) -> None:
        """Makes the folders, readable for this user alone: configurations hold tokens."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.images, self.registry, self.repositories, self.logs, self.pids):
            folder.mkdir(mode=0o700, exist_ok=True)
