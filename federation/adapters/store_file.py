"""What operators set, in a folder: `overrides.json` is what is set now, `audit.jsonl` is who changed what.

Only what stands in both counts, and they never disagree in silence:

- A change is first a line of the audit, on the disk, and then a new `overrides.json`, which names the last change that
  is in it. Only then does the operator get an answer.
- When the line cannot be written nothing has changed. When the overrides cannot be, the line is cut off again; as long
  as even that fails it is not told, and no further change is made before it is gone. Where it is in doubt what the disk
  holds, no further change is made before the next start, which reads it.
- When the process ends between the two, the audit holds a change that the overrides do not. The next start makes it
  and says so.
- Overrides that cannot be read are set aside, and what is set is taken from the audit, which is said too.

One process at a time may use the folder. Every file is for its user alone: it names operators.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

import orjson

from federation.adapters.audit_file import AuditFile
from federation.adapters.errand import Errands
from federation.adapters.whole_file import PRIVATE, sync_folder, write_whole
from federation.core.audit import document, read_document
from federation.core.steering import Change, Override, Overrides, with_one
from federation.service.ports import Loaded

OVERRIDES, AUDIT = "overrides.json", "audit.jsonl"


class FileStore:
    """`OverrideStore` on a file system."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._path = self._folder / OVERRIDES
        self._audit = AuditFile(self._folder / AUDIT)
        self._errands = Errands(f"overrides in {folder}")
        self._through: int | None = None  # the last change's id; None: not read, so nothing may be written
        self._before = b""  # what `overrides.json` held before the last change

    async def load(self) -> Loaded:
        return await self._errands.run(self._load)

    async def commit(self, overrides: Overrides, change: Change) -> Change:
        return await self._errands.run(lambda: self._commit(overrides, change), self._take_back)

    async def changes(self, before: int | None, limit: int) -> tuple[Change, ...]:
        return await self._errands.run(lambda: tuple(islice(self._audit.newest(before), limit)))

    def _load(self) -> Loaded:
        notes = [self._audit.repair()]
        last = next(self._audit.newest(), None)
        newest = 0 if last is None else last.id
        overrides: dict[str, Override] = {}
        through = newest  # of overrides that are not there: somebody removed them, or there never were any
        try:
            overrides, through = read_document(orjson.loads(self._path.read_bytes()))
        except FileNotFoundError:
            if newest:
                notes.append(f"{self._path} is gone: nothing is set, whatever the audit tells")
        except ValueError as problem:
            notes.append(f"{self._set_aside(problem)}; what is set is taken from the audit")
            through = 0
        missed = self._since(through)
        for name, override in missed.items():
            notes.append(f"{name}: what is set is the audit's last word, which the overrides did not hold")
            overrides = dict(with_one(overrides, name, override))
        self._through = max(through, newest)
        if missed:
            with suppress(OSError):  # the next change writes it
                self._write(overrides)
        return Loaded(overrides, tuple(filter(None, notes)))

    def _since(self, through: int) -> dict[str, Override]:
        """What the changes after this one set, by member."""
        found: dict[str, Override] = {}
        for change in self._audit.newest():
            if change.id <= through:
                break
            found.setdefault(change.member, change.after)
        return found

    def _set_aside(self, problem: Exception) -> str:
        aside = self._path.with_name(f"{OVERRIDES}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
        self._path.rename(aside)
        return f"{self._path} cannot be used ({problem}) and was set aside as {aside.name}"

    def _commit(self, overrides: Overrides, change: Change) -> Change:
        if self._through is None:
            raise OSError(
                f"{self._folder} is in doubt since an earlier fault: nothing is changed before a new start"
            )
        self._prepare()
        change = replace(change, id=self._through + 1)
        self._audit.append(change)
        self._through = change.id
        try:
            self._write(overrides)
        except BaseException:
            self._take_back()
            raise
        self._audit.keep()
        return change

    def _take_back(self) -> None:
        """Makes the last change undone, first where it would be found again."""
        assert self._through is not None
        try:
            if self._path.read_bytes() != self._before:
                write_whole(self._path, self._before, PRIVATE)
        except OSError:
            self._through = None
        else:
            self._through -= 1
            self._audit.cut()

    def _prepare(self) -> None:
        """Makes the folder, and overrides in it: where there are none, a crash after the audit's first line would look
        as if somebody had removed them."""
        if not self._folder.is_dir():
            self._folder.mkdir(parents=True, exist_ok=True)
            sync_folder(self._folder.parent)
        try:
            self._before = self._path.read_bytes()
        except FileNotFoundError:
            self._write({})
            self._before = self._path.read_bytes()

    def _write(self, overrides: Overrides) -> None:
        assert self._through is not None
        told = document(overrides, self._through)
        write_whole(self._path, orjson.dumps(told, option=orjson.OPT_INDENT_2) + b"\n", PRIVATE)
