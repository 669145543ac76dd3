"""The files of an OCI image layout: blobs, manifests and the index; knows nothing of what the layers hold.

Formats: OCI image specification 1.1 (image-layout, index, manifest, config). Every function here blocks.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile, mkdtemp
from typing import IO, Any

from members.adapters import trees
from members.adapters.archive import MEDIA_TYPE

BLOBS = Path("blobs", "sha256")
REF_NAME = "org.opencontainers.image.ref.name"
_INCOMING = "incoming"  # unfinished blobs and trees, on the file system of the finished ones
_UNPACKED = "unpacked"
_LOCK = "index.lock"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # the specification uses Go's names


class StoreFault(Exception):
    """The layout's own files are damaged; the message names the file."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: digests with prefix `sha256:`, size in bytes of the compressed blob."""

    digest: str
    size: int
    diff_id: str


@dataclass(frozen=True, slots=True)
class Image:
    """What the store knows of one image, lowest layer first."""

    layers: tuple[Layer, ...]
    labels: Mapping[str, str]


@dataclass(slots=True)
class Incoming:
    """A blob being written; it exists for others only once it is kept."""

    file: IO[bytes]
    kept_as: str | None = field(default=None)

    def keep(self, digest: str) -> None:
        """Publishes what was written under its digest (with prefix `sha256:`) when the block ends well."""
        self.kept_as = digest


class Folder:
    """One OCI image layout."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def prepare(self) -> None:
        """Makes an empty layout where there is none; removes blobs that killed writers left unfinished."""
        for name in (BLOBS, _INCOMING, _UNPACKED):
            (self._path / name).mkdir(parents=True, exist_ok=True)
        with self._lock():
            layout = self._path / "oci-layout"
            if not layout.exists():
                self._replace(layout, json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
            if not (self._path / "index.json").exists():
                self._write_index([])
        for leftover in (self._path / _INCOMING).iterdir():
            with (
                suppress(OSError),
                _locked(leftover, fcntl.LOCK_EX | fcntl.LOCK_NB),
            ):  # refused while its writer lives
                trees.remove(leftover) if leftover.is_dir() else leftover.unlink()

    def probe(self) -> None:
        """Raises StoreFault or OSError unless the index can be read and a blob be written."""
        self._read_index()
        with self.incoming() as blob:
            blob.file.write(b"probe")

    def blob(self, digest: str) -> Path:
        """The file that holds, or would hold, the blob `sha256:...`."""
        return self._path / BLOBS / digest.removeprefix("sha256:")

    def find(self, image: str) -> Image | None:
        """The image; None unless its manifest, config and layers are all there in their full size."""
        entry = next((e for e in self._read_index() if _name(e) == image), None)
        try:
            manifest = self._read_json(entry["digest"], entry["size"]) if entry else None
            config = self._read_json(**_pick(manifest["config"])) if manifest else None
            if manifest is None or config is None:
                return None
            sizes = [(layer["digest"], int(layer["size"])) for layer in manifest["layers"]]
            if any(not self._complete(digest, size) for digest, size in sizes):
                return None
            diffs = config["rootfs"]["diff_ids"]
            layers = tuple(
                Layer(digest, size, diff) for (digest, size), diff in zip(sizes, diffs, strict=True)
            )
            return Image(layers, config["config"].get("Labels") or {})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StoreFault(f"the manifest of {image} is damaged: {error!r}") from error

    def publish(self, name: str, image: Image) -> None:
        """Makes an image of blobs that are in the store already known by its name, replacing an older one."""
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        config = {
            "created": created,
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Labels": dict(image.labels), "WorkingDir": "/home/jovyan"},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in image.layers]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._write_json(_CONFIG, config),
            "layers": [
                {"mediaType": MEDIA_TYPE, "digest": la.digest, "size": la.size} for la in image.layers
            ],
        }
        entry = {**self._write_json(_MANIFEST, manifest), "annotations": {REF_NAME: name}}
        with self._lock():
            others = [known for known in self._read_index() if _name(known) != name]
            self._write_index([*others, entry])

    @property
    def unpacked(self) -> Path:
        """The folder for trees that all members of the machine use."""
        return self._path / _UNPACKED

    @contextmanager
    def incoming_tree(self) -> Iterator[Path]:
        """A new folder beside `unpacked`, for a tree that will be renamed into it; gone at the end."""
        here = Path(mkdtemp(dir=self._path / _INCOMING))
        with _locked(here, fcntl.LOCK_EX):
            try:
                yield here
            finally:
                trees.remove(here)

    @contextmanager
    def incoming(self) -> Iterator[Incoming]:
        """A blob to write to; on disk for good when `keep` was called, gone otherwise."""
        with self._written() as file:
            incoming = Incoming(file)
            yield incoming
            file.flush()
            if incoming.kept_as is not None:
                _publish(file, self.blob(incoming.kept_as))

    @contextmanager
    def _written(self) -> Iterator[IO[bytes]]:
        """A new file that nobody reads yet and a starting member leaves alone; gone at the end if still here."""
        with NamedTemporaryFile(dir=self._path / _INCOMING, delete=False) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield file
            finally:
                Path(file.name).unlink(missing_ok=True)

    def _complete(self, digest: str, size: int) -> bool:
        try:
            return self.blob(digest).stat().st_size == size
        except FileNotFoundError:
            return False

    def _read_json(self, digest: str, size: int) -> Any:
        """The parsed blob, None when it is missing or not what its digest says."""
        if not self._complete(digest, size):
            return None
        data = self.blob(digest).read_bytes()
        return json.loads(data) if f"sha256:{hashlib.sha256(data).hexdigest()}" == digest else None

    def _write_json(self, media_type: str, content: object) -> dict[str, object]:
        data = json.dumps(content, sort_keys=True).encode()
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        with self.incoming() as blob:
            blob.file.write(data)
            blob.keep(digest)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def _read_index(self) -> list[dict[str, Any]]:
        try:
            content = json.loads((self._path / "index.json").read_bytes())
            return [entry for entry in content["manifests"] if isinstance(entry, dict)]
        except (ValueError, KeyError, TypeError) as error:
            raise StoreFault(f"{self._path / 'index.json'} is damaged: {error}") from error

    def _write_index(self, manifests: list[dict[str, Any]]) -> None:
        content = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": manifests}
        self._replace(self._path / "index.json", json.dumps(content, indent=1).encode())

    def _replace(self, path: Path, data: bytes) -> None:
        """Written aside, flushed to disk and renamed: readers see the old or the new content."""
        with self._written() as file:
            file.write(data)
            _publish(file, path)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Held for the milliseconds that a change of the index takes.

        The kernel frees it when its holder dies.
        """
        with (self._path / _LOCK).open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _name(entry: Mapping[str, Any]) -> object:
    annotations = entry.get("annotations")
    return annotations.get(REF_NAME) if isinstance(annotations, dict) else None


def _pick(descriptor: Mapping[str, Any]) -> dict[str, Any]:
    return {"digest": descriptor["digest"], "size": int(descriptor["size"])}


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    """Holds the lock of a file or folder; BlockingIOError when it is taken and `how` says not to wait."""
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def _publish(file: IO[bytes], path: Path) -> None:
    """Everything written is on disk before it has its name, and the name before this returns."""
    file.flush()
    os.fsync(file.fileno())
    Path(file.name).chmod(0o644)
    Path(file.name).rename(path)
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
