"""Folders of files: copies, differences, safe removal; knows nothing of images and builds.

Only plain files, folders and symbolic links belong into a tree here. Nothing follows a symbolic link.
"""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from members.adapters.blocking import Stopped
from members.adapters.leash import leashed

WHITEOUT = ".wh."  # OCI image layers mark a removed file by an empty one with this prefix
_SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID


@dataclass(frozen=True, slots=True)
class Changes:
    """What makes one tree out of another.

    Paths are relative and in a fixed order, a folder stands before its content.
    """

    written: tuple[str, ...]
    removed: tuple[str, ...]  # the topmost removed paths only

    def plus(self, part: str, other: Changes) -> Changes:
        """These and those of the folder `part`."""
        below = [tuple(f"{part}/{path}" for path in paths) for paths in (other.written, other.removed)]
        return Changes((*self.written, part, *below[0]), (*self.removed, *below[1]))


class NotPlain(Exception):
    """A device, pipe or socket where only files, folders and links are expected; the message names it."""


def read_text(path: Path, limit: int = 1 << 16) -> str:
    """The text of a small file that repository code may have written.

    A link would show another's file, a pipe never end. Raises OSError for these, and for more than `limit` bytes.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            raise OSError(errno.EINVAL, "not a plain, small file", str(path))
        return file.read(limit).decode("utf-8")


def remove(tree: Path) -> None:
    """Removes a tree, also where its folders were made unwritable; succeeds when it is gone already.

    `rm` goes to any depth: Python's own ways end at its recursion limit, which a repository can pass. Blocks;
    raises OSError.
    """
    if not (tree.is_symlink() or tree.exists()):
        return
    remover = ["rm", "-rf", "--", str(tree)]
    if _status(remover) == 0:
        return
    if not tree.is_symlink():
        _status(["chmod", "-R", "u+rwX", "--", str(tree)])
    if _status(remover) != 0:
        raise OSError(errno.ENOTEMPTY, "could not be removed", str(tree))


def copy(stop: Event, source: Path, target: Path) -> None:
    """A copy with all times and modes.

    `target` must not exist. Raises OSError when it cannot be made, or Stopped.
    """
    _run(stop, ["cp", "--archive", "--reflink=auto", "--no-target-directory", "--", str(source), str(target)])


def link(stop: Event, source: Path, target: Path) -> None:
    """A tree of hard links, for content that nobody will write to in place; a copy across file systems."""
    try:
        _run(stop, ["cp", "--archive", "--link", "--no-target-directory", "--", str(source), str(target)])
    except OSError:
        remove(target)
        copy(stop, source, target)


def entries(tree: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every path below `tree`, relative, with its own status; a folder comes before its content."""
    folders = [""]
    while folders:
        below = folders.pop()
        with os.scandir(tree / below) as found:
            listed = sorted(found, key=lambda entry: entry.name)
        for entry in listed:
            path = f"{below}/{entry.name}" if below else entry.name
            status = entry.stat(follow_symlinks=False)
            yield path, status
            if stat.S_ISDIR(status.st_mode):
                folders.append(path)


def changes(tree: Path, base: Path | None) -> Changes:
    """What `tree` has that `base` has not or has otherwise, and the reverse.

    Everything when there is no base.
    """
    known = dict(entries(base)) if base is not None else {}
    written: list[str] = []
    for path, status in entries(tree):
        before = known.pop(path, None)
        if before is not None and _same(status, before):
            continue
        if f"/{WHITEOUT}" not in f"/{path}":
            written.append(path)
    gone = known.keys()
    return Changes(tuple(written), tuple(path for path in known if path.rpartition("/")[0] not in gone))


def require_plain(tree: Path) -> None:
    """Raises NotPlain for anything but files, folders and links.

    Takes set-user-id and set-group-id bits away.
    """
    for path, status in entries(tree):
        kind = status.st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind) or stat.S_ISLNK(kind)):
            raise NotPlain(f"{path} is neither a file nor a folder nor a link")
        if kind & _SPECIAL_BITS and not stat.S_ISLNK(kind):
            (tree / path).chmod(stat.S_IMODE(kind) & ~_SPECIAL_BITS)


def drop_special(tree: Path) -> list[str]:
    """Removes pipes, sockets and devices, which no image layer should carry; returns what was removed."""
    kinds = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)
    dropped = [path for path, status in entries(tree) if not any(kind(status.st_mode) for kind in kinds)]
    for path in dropped:
        (tree / path).unlink()
    return dropped


def apply_whiteouts(tree: Path) -> None:
    """Removes what a layer just unpacked into `tree` marks as removed, and the marks. Raises NotPlain."""
    marks = [path for path, _ in entries(tree) if path.rpartition("/")[2].startswith(WHITEOUT)]
    for path in marks:
        mark = tree / path
        if mark.name.removeprefix(WHITEOUT) in ("", ".", ".."):
            raise NotPlain(f"{path} marks nothing that can be removed")
        gone = mark.with_name(mark.name.removeprefix(WHITEOUT))
        if gone.is_dir() and not gone.is_symlink():
            remove(gone)
        else:
            gone.unlink(missing_ok=True)
        mark.unlink()


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    if (one.st_ino, one.st_dev) == (other.st_ino, other.st_dev):
        return True
    if one.st_mode != other.st_mode:
        return False
    return stat.S_ISDIR(one.st_mode) or (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


def _status(argv: list[str]) -> int:
    quiet = subprocess.DEVNULL
    return subprocess.run(argv, stdin=quiet, stdout=quiet, stderr=quiet, check=False).returncode


def _run(stop: Event, argv: list[str]) -> None:
    # The thread that runs this waits for the copy, so the copy may be tied to its life.
    with subprocess.Popen(
        leashed(argv, parent=os.getpid()),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            while True:
                try:
                    _, complaint = process.communicate(timeout=0.2)
                    break
                except subprocess.TimeoutExpired:
                    if stop.is_set():
                        raise Stopped from None
        finally:
            process.kill()
    if process.returncode != 0:
        text = complaint.decode(errors="replace").strip()
        raise OSError(f"{argv[0]} failed: {text[-500:] or process.returncode}")
