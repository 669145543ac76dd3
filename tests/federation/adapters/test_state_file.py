"""A file on a real disk: whole or not there, and never waited for too long."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from federation.adapters import errand, state_file
from federation.adapters.state_file import StateFile


async def test_what_is_written_is_read_and_replaced(tmp_path: Path) -> None:
    file, store = tmp_path / "view.json", StateFile("a file")
    assert await store.read(str(file)) is None
    await store.write(str(file), {"a": 1})
    held = file.open("rb")
    await store.write(str(file), {"a": 2})
    assert b"1" in held.read()  # replaced, not written over: a reader never sees a half
    held.close()
    assert await store.read(str(file)) == {"a": 2}
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("found", [b"", b'{"a": 1', b"\x00\xff", b"[1] 2"])
async def test_a_torn_file_is_no_document(tmp_path: Path, found: bytes) -> None:
    file = tmp_path / "view.json"
    file.write_bytes(found)
    with pytest.raises(ValueError, match="is not JSON"):
        await StateFile("a file").read(str(file))


async def test_a_huge_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_file, "LARGEST", 10)
    file = tmp_path / "view.json"
    file.write_bytes(b'"0123456789"')
    with pytest.raises(ValueError, match="larger than 10 bytes"):
        await StateFile("a file").read(str(file))


async def test_a_write_that_fails_keeps_the_old_document(tmp_path: Path) -> None:
    file, store = tmp_path / "view.json", StateFile("a file")
    await store.write(str(file), {"a": 1})
    (tmp_path / "view.json.part").mkdir()
    with pytest.raises(IsADirectoryError):
        await store.write(str(file), {"a": 2})
    assert await store.read(str(file)) == {"a": 1}


async def test_a_write_that_fails_leaves_nothing_lying_about(tmp_path: Path) -> None:
    folder = tmp_path / "view.json"
    folder.mkdir()
    with pytest.raises(IsADirectoryError):
        await StateFile("a file").write(str(folder), {})
    assert list(tmp_path.iterdir()) == [folder]


async def test_a_disk_that_does_not_answer_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errand, "LIMIT", 0.2)
    pipe, store = tmp_path / "pipe", StateFile("a file")
    os.mkfifo(pipe)  # to open it hangs as long as nobody writes
    with pytest.raises(OSError, match=r"within 0\.2 s"):
        await store.read(str(pipe))
    with pytest.raises(OSError, match="has not answered yet"):
        await store.read(str(pipe))
    await asyncio.to_thread(pipe.write_bytes, b"1")
    async with asyncio.timeout(5):
        while True:
            try:
                return await store.write(str(tmp_path / "new" / "view.json"), {})
            except OSError:  # until the thread that hung has ended
                await asyncio.sleep(0.01)
