"""Image layers: a tree as one compressed tar file and back; knows nothing of images, names and stores.

GNU tar does the work and is several times faster than Python's tarfile; zstd runs with threads. Times are
kept, because compiled Python files are tied to the time of their source.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from threading import Event
from typing import IO

import zstandard

from members.adapters import trees
from members.adapters.blocking import Stopped
from members.adapters.trees import WHITEOUT, Changes

MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar+zstd"
_CHUNK = 1 << 20
_LEVEL = 1  # a third faster than level 3 and a tenth larger: the store is a folder next door
_ENVIRONMENT = {"LC_ALL": "C", "PATH": os.defpath}


class Damaged(Exception):
    """A layer is not what its digest says, or cannot be unpacked; the message says why."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A finished layer: `digest` and `diff_id` (of the uncompressed tar) start with `sha256:`.

    Size in bytes.
    """

    digest: str
    diff_id: str
    size: int


def pack(stop: Event, tree: Path, changes: Changes, out: IO[bytes]) -> Packed:
    """Writes `changes` of `tree` to `out`, removed paths as OCI whiteouts. Raises OSError or Stopped."""
    plain, compressed, size = hashlib.sha256(), hashlib.sha256(), 0
    compressor = zstandard.ZstdCompressor(level=_LEVEL, threads=min(4, os.cpu_count() or 1)).compressobj()

    def write(data: bytes) -> None:
        nonlocal size
        compressed.update(data)
        size += out.write(data)

    with TemporaryDirectory(prefix="binder-layer-") as scratch:
        argv = _tar_create(tree, changes, Path(scratch))
        with _tar(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as tar:
            assert tar.stdout is not None
            while chunk := tar.stdout.read(_CHUNK):
                _look(stop)
                plain.update(chunk)
                write(compressor.compress(chunk))
    write(compressor.flush())
    return Packed(f"sha256:{compressed.hexdigest()}", f"sha256:{plain.hexdigest()}", size)


def unpack(stop: Event, layer: Path, digest: str, into: Path) -> None:
    """Unpacks a layer over the existing folder `into`.

    Raises Damaged when the file does not have its digest or holds anything but files, folders and links
    inside `into`; the folder is then worthless. Raises OSError when the disk fails, or Stopped.
    """
    argv = ["--extract", "--file=-", f"--directory={into}", "--preserve-permissions", "--no-same-owner"]
    with layer.open("rb") as source, _tar(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as tar:
        assert tar.stdin is not None
        _feed(stop, source, digest, tar.stdin)
    try:
        trees.require_plain(into)
        trees.apply_whiteouts(into)
    except trees.NotPlain as error:
        raise Damaged(f"{layer.name}: {error}") from error


def _feed(stop: Event, source: IO[bytes], digest: str, sink: IO[bytes]) -> None:
    """Decompresses `source` into `sink`.

    The digest is checked to the end even when the sink has closed early.
    """
    seen, listening = hashlib.sha256(), True
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    while chunk := source.read(_CHUNK):
        _look(stop)
        seen.update(chunk)
        if not listening:
            continue
        try:
            sink.write(decompressor.decompress(chunk))
        except (zstandard.ZstdError, BrokenPipeError):
            listening = False
    found = f"sha256:{seen.hexdigest()}"
    if found != digest:
        raise Damaged(f"layer {digest} is damaged in the store: its content has the digest {found}")
    with suppress(BrokenPipeError):
        sink.close()


def _tar_create(tree: Path, changes: Changes, scratch: Path) -> list[str]:
    argv = [
        "--create",
        "--file=-",
        "--format=gnu",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--no-recursion",
    ]
    marks = [str(Path(path).with_name(WHITEOUT + Path(path).name)) for path in changes.removed]
    for mark in marks:
        (scratch / "marks" / mark).parent.mkdir(parents=True, exist_ok=True)
        (scratch / "marks" / mark).touch()
    for name, root, paths in (("written", tree, changes.written), ("removed", scratch / "marks", marks)):
        (scratch / name).write_bytes(b"".join(os.fsencode(path) + b"\0" for path in paths))
        if paths:
            argv += [f"--directory={root}", "--null", f"--files-from={scratch / name}"]
    return argv if changes.written or marks else [*argv, "--files-from=/dev/null"]


@contextmanager
def _tar(argv: list[str], *, stdin: int, stdout: int) -> Iterator[subprocess.Popen[bytes]]:
    """A tar process; its failure is an OSError at the end of the block, leaving that early kills it."""
    with TemporaryFile() as complaints:
        tar = subprocess.Popen(
            ["tar", *argv], stdin=stdin, stdout=stdout, stderr=complaints, env=_ENVIRONMENT
        )
        try:
            yield tar
            if tar.wait() != 0:
                complaints.seek(0)
                text = complaints.read(2000).decode(errors="replace").strip()
                raise OSError(f"tar failed: {text or tar.returncode}")
        finally:
            tar.kill()
            tar.wait()
            for pipe in (tar.stdin, tar.stdout):
                if pipe is not None:
                    with suppress(BrokenPipeError):
                        pipe.close()


def _look(stop: Event) -> None:
    if stop.is_set():
        raise Stopped
