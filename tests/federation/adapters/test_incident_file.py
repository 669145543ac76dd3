"""Records and documents of the state folder on a real disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from federation.adapters import state_file
from federation.adapters.incident_file import IncidentFile
from federation.adapters.state_file import StateFile


async def test_records_are_added_and_replaced_in_a_folder_that_is_made(tmp_path: Path) -> None:
    file, store = tmp_path / "a" / "state" / "incidents.jsonl", IncidentFile()
    assert await store.read(str(file)) == []
    await store.append(str(file), [{"id": 1}, {"id": 2}])
    await store.append(str(file), [{"id": 3}])
    assert await store.read(str(file)) == [{"id": 1}, {"id": 2}, {"id": 3}]
    await store.replace(str(file), [{"id": 4}])
    assert file.read_bytes() == b'{"id":4}\n'
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("torn", [b'{"id": 2, "ki', b"\x00\x00\xff"])
async def test_a_torn_line_costs_itself_alone(tmp_path: Path, torn: bytes) -> None:
    file, store = tmp_path / "incidents.jsonl", IncidentFile()
    file.write_bytes(b'{"id": 1}\n' + torn)
    assert await store.read(str(file)) == [{"id": 1}]
    await store.append(str(file), [{"id": 3}])
    assert await store.read(str(file)) == [{"id": 1}, {"id": 3}]


async def test_a_disk_that_takes_a_part_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, store = tmp_path / "incidents.jsonl", IncidentFile()
    await store.append(str(file), [{"id": 1}])
    write = os.write
    monkeypatch.setattr(os, "write", lambda number, data: write(number, data[:3]))
    with pytest.raises(OSError, match="only 3 of"):
        await store.append(str(file), [{"id": 2}])
    assert file.read_bytes() == b'{"id":1}\n'


async def test_a_document_is_whole_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, store = tmp_path / "state" / "history.json", StateFile("history")
    assert await store.read(str(file)) is None
    await store.write(str(file), {"a": 1})
    assert await store.read(str(file)) == {"a": 1}
    file.write_bytes(b'{"a": ')
    with pytest.raises(ValueError, match="is not JSON"):
        await store.read(str(file))
    monkeypatch.setattr(state_file, "LARGEST", 3)
    with pytest.raises(ValueError, match="larger than 3 bytes"):
        await store.read(str(file))
