"""What operators set, on a real disk: kept in both files or in none, whatever breaks, and found again at the start."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import stat
from collections.abc import Callable
from itertools import count
from pathlib import Path
from threading import Event

import pytest

from federation.adapters import audit_file, errand, store_file
from federation.adapters.audit_file import AuditFile
from federation.adapters.store_file import FileStore
from federation.adapters.store_memory import MemoryStore
from federation.core.steering import NOTHING_SET, Change, Override, Word

DRAINED = Override(drained=Word("ana", "disk", 100.0))


def change(member: str = "a", after: Override = DRAINED, before: Override = NOTHING_SET) -> Change:
    return Change(100.0, "ana", "Ana", member, before, after, "disk")


async def opened(folder: Path) -> FileStore:
    store = FileStore(str(folder))
    await store.load()
    return store


async def ids(store: FileStore | MemoryStore, before: int | None = None, limit: int = 100) -> list[int]:
    return [one.id for one in await store.changes(before, limit)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "door" / "state"


async def test_what_is_kept_is_found_after_a_restart_and_ids_go_on(folder: Path) -> None:
    store = FileStore(str(folder))
    assert (await store.load()).overrides == {}
    assert not folder.exists()  # nothing is made before there is something to keep
    assert (await store.commit({"a": DRAINED}, change())).id == 1
    assert (await store.commit({}, change(after=NOTHING_SET, before=DRAINED))).id == 2
    assert (await store.commit({"b": DRAINED}, change("b"))).id == 3

    again = FileStore(str(folder))
    loaded = await again.load()
    assert loaded.overrides == {"b": DRAINED} and loaded.notes == ()
    assert (await again.commit({}, change("b", NOTHING_SET))).id == 4
    assert await again.changes(None, 2) == await store.changes(None, 2)
    assert (await again.changes(3, 1))[0].before == DRAINED
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(file.name for file in folder.iterdir()) == ["audit.jsonl", "overrides.json"]


@pytest.mark.parametrize("make", [lambda folder: FileStore(str(folder)), lambda folder: MemoryStore()])
async def test_pages_of_the_audit(folder: Path, make: Callable[[Path], FileStore | MemoryStore]) -> None:
    store = make(folder)
    await store.load()
    assert await ids(store) == []
    for number in range(5):
        await store.commit({}, change(f"m{number}"))
    assert await ids(store, limit=2) == [5, 4]
    assert await ids(store, before=4, limit=2) == [3, 2]
    assert await ids(store, before=2) == [1]
    assert await ids(store, before=1) == []
    assert await ids(store, before=99, limit=1) == [5]


@pytest.mark.parametrize("torn", ["half", "no end", "zeros"])
async def test_a_torn_line_is_ended_and_later_ones_do_not_join_it(folder: Path, torn: str) -> None:
    store = await opened(folder)
    await store.commit({"a": DRAINED}, change())
    await store.commit({"a": DRAINED, "b": DRAINED}, change("b"))
    audit = folder / "audit.jsonl"
    whole = audit.read_bytes()
    audit.write_bytes({"half": whole[:-40], "no end": whole[:-1], "zeros": whole + bytes(300_000)}[torn])

    again = FileStore(str(folder))
    loaded = await again.load()
    assert loaded.overrides == {"a": DRAINED, "b": DRAINED}
    assert [("had no end" in note) for note in loaded.notes] == [True]
    assert (await again.commit({"a": DRAINED}, change("b", NOTHING_SET))).id == 3
    assert await ids(again) == ([3, 1] if torn == "half" else [3, 2, 1])
    assert (await FileStore(str(folder)).load()).notes == ()


async def test_a_line_that_is_torn_while_the_front_door_runs_is_ended_too(folder: Path) -> None:
    store = await opened(folder)
    await store.commit({"a": DRAINED}, change())
    with (folder / "audit.jsonl").open("ab") as file:
        file.write(b'{"id": 2, "at"')
    await store.commit({}, change(after=NOTHING_SET))
    assert await ids(store) == [2, 1]


async def test_a_change_that_only_the_audit_holds_is_made_at_the_start(folder: Path) -> None:
    """As after a kill between the two files."""
    store = await opened(folder)
    await store.commit({"a": DRAINED}, change())
    old = (folder / "overrides.json").read_bytes()
    await store.commit({"a": DRAINED, "b": DRAINED}, change("b"))
    (folder / "overrides.json").write_bytes(old)

    again = FileStore(str(folder))
    loaded = await again.load()
    assert loaded.overrides == {"a": DRAINED, "b": DRAINED}
    assert len(loaded.notes) == 1 and loaded.notes[0].startswith("b: ")
    assert (await FileStore(str(folder)).load()).notes == ()  # and they agree from then on


@pytest.mark.parametrize("damage", [b"", b"{", b'{"version": 9, "members": {}}', b"\xff\x00"])
async def test_damaged_overrides_are_set_aside_and_taken_from_the_audit(folder: Path, damage: bytes) -> None:
    store = await opened(folder)
    await store.commit({"a": DRAINED}, change())
    await store.commit({"a": DRAINED, "b": DRAINED}, change("b"))
    await store.commit({"b": DRAINED}, change("a", NOTHING_SET, DRAINED))
    (folder / "overrides.json").write_bytes(damage)

    loaded = await FileStore(str(folder)).load()
    assert loaded.overrides == {"b": DRAINED}
    assert "cannot be used" in loaded.notes[0] and "set aside" in loaded.notes[0]
    aside = [file for file in folder.iterdir() if ".damaged-" in file.name]
    assert [file.read_bytes() for file in aside] == [damage]


async def test_overrides_that_somebody_removed_are_not_made_again(folder: Path) -> None:
    await (await opened(folder)).commit({"a": DRAINED}, change())
    (folder / "overrides.json").unlink()
    loaded = await FileStore(str(folder)).load()
    assert loaded.overrides == {} and "is gone" in loaded.notes[0]


async def test_a_kill_after_the_very_first_line_loses_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await opened(folder)

    monkeypatch.setattr(AuditFile, "cut", lambda _: None)  # nothing of the process runs after the line
    _failing_writes(monkeypatch, [False, True])
    with pytest.raises(OSError, match="No space"):
        await store.commit({"a": DRAINED}, change())
    assert json.loads((folder / "overrides.json").read_bytes())["through"] == 0
    assert (await FileStore(str(folder)).load()).overrides == {"a": DRAINED}


def _failing_writes(monkeypatch: pytest.MonkeyPatch, fails: list[bool]) -> None:
    """The n-th file that is replaced as a whole finds the disk full, where `fails` says so."""
    made, real = count(), store_file.write_whole

    def write(path: Path, data: bytes, mode: int) -> None:
        number = next(made)
        if number < len(fails) and fails[number]:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, data, mode)

    monkeypatch.setattr(store_file, "write_whole", write)


async def test_a_full_disk_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await opened(folder)
    await store.commit({"a": DRAINED}, change())
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    with monkeypatch.context() as full:
        _failing_writes(full, [True])
        with pytest.raises(OSError, match="No space"):
            await store.commit({}, change(after=NOTHING_SET))
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before

    with monkeypatch.context() as full:
        real = os.write
        full.setattr(audit_file.os, "write", lambda file, data: real(file, data[:7]))
        with pytest.raises(OSError, match="only 7 of"):
            await store.commit({}, change(after=NOTHING_SET))
    assert await ids(store) == [1]  # the half of a line is not told
    assert (await store.commit({}, change(after=NOTHING_SET))).id == 2  # and is gone
    assert (folder / "audit.jsonl").read_bytes().startswith(before["audit.jsonl"] + b'{"id":2')


async def test_a_line_that_cannot_be_cut_off_is_not_told_and_keeps_all_else_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await opened(folder)
    await store.commit({"a": DRAINED}, change())

    def never(*_: object) -> None:
        raise OSError(errno.EIO, "I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(audit_file.os, "ftruncate", never)
        _failing_writes(broken, [True])
        with pytest.raises(OSError, match="No space"):
            await store.commit({}, change(after=NOTHING_SET))
        assert (folder / "audit.jsonl").read_bytes().count(b"\n") == 2
        assert await ids(store) == [1]
        with pytest.raises(OSError, match="I/O"):
            await store.commit({"b": DRAINED}, change("b"))
    assert (await store.commit({"b": DRAINED}, change("b"))).id == 2
    assert await ids(store) == [2, 1]


async def test_a_disk_that_answers_too_late_has_changed_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await opened(folder)
    await store.commit({"a": DRAINED}, change())
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    go_on, real = Event(), os.fsync

    def slow(file: int) -> None:
        go_on.wait(20)
        real(file)

    with monkeypatch.context() as hanging:
        hanging.setattr(errand, "LIMIT", 0.2)
        hanging.setattr(audit_file.os, "fsync", slow)
        with pytest.raises(OSError, match=r"within 0\.2 s"):
            await store.commit({}, change(after=NOTHING_SET))
        with pytest.raises(OSError, match="has not answered yet"):
            await store.commit({}, change(after=NOTHING_SET))
        go_on.set()
        await asyncio.to_thread(store._errands._hanging.over.wait, 20)  # type: ignore[union-attr]
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert (await store.commit({}, change(after=NOTHING_SET))).id == 2


async def test_what_could_not_be_read_is_never_written_over(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "overrides.json").mkdir()  # no file, and not to be opened as one
    store = FileStore(str(folder))
    with pytest.raises(IsADirectoryError):
        await store.load()
    with pytest.raises(OSError, match="in doubt"):
        await store.commit({"a": DRAINED}, change())
    assert (folder / "overrides.json").is_dir() and not (folder / "audit.jsonl").exists()


def test_a_long_audit_is_read_from_wherever_it_is_asked_for(tmp_path: Path) -> None:
    """Far more than a few blocks, with a gap in the ids and lines that cannot be read."""
    path = tmp_path / "audit.jsonl"
    audit = AuditFile(path)
    audit.append(change())
    line = json.loads(path.read_bytes())
    numbers = [*range(1, 1500), *range(2500, 4000)]
    with path.open("wb") as file:
        for number in numbers:
            file.write(json.dumps(line | {"id": number, "reason": "x" * (number % 400)}).encode() + b"\n")
            if number % 100 == 0:
                file.write(b"{torn\n")
    audit.keep()
    assert path.stat().st_size > 8 * audit_file.BLOCK
    assert [one.id for one in audit.newest()] == numbers[::-1]
    for before in (1, 2, 3, 700, 1499, 1500, 2000, 2500, 2501, 3999, 4000, 10**9):
        found = audit.newest(before)
        assert [one.id for one, _ in zip(found, range(3), strict=False)] == [
            number for number in numbers[::-1] if number < before
        ][:3]
