"""What is kept of incidents and history, when the disk takes it and when it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from federation.core.facts import Fact, LoopFailed
from federation.core.model import Member
from federation.core.rules import IncidentRules, Settings
from federation.service import incidents as module
from federation.service.history import HistoryKeeper
from federation.service.incidents import Incidents
from federation.service.lately import RecentLaunches
from federation.service.pool import Pool
from federation.service.ports import ProbeResult

RULES = IncidentRules(member_out=0.0)
SETTINGS = Settings((Member("alpha", "https://a", 1.0),), state_folder="/state", incidents=RULES)


class Watch:
    def __init__(self) -> None:
        self.at = 1e9

    def now(self) -> float:
        return self.at


class Nobody:
    waiting, longest = 0, 0.0


class Disk:
    """Records and a document, unless it fails."""

    def __init__(self, records: Sequence[object] = ()) -> None:
        self.records: list[object] = list(records)
        self.document: object = None
        self.fault: Exception | None = None
        self.replaced = 0

    async def read(self, path: str) -> Any:
        self._fail()
        return list(self.records) if path.endswith("l") else self.document

    async def append(self, path: str, records: Sequence[Mapping[str, Any]]) -> None:
        self._fail()
        self.records += records

    async def replace(self, path: str, records: Sequence[Mapping[str, Any]]) -> None:
        self._fail()
        self.records, self.replaced = list(records), self.replaced + 1

    async def write(self, path: str, document: Mapping[str, Any]) -> None:
        self._fail()
        self.document = document

    def _fail(self) -> None:
        if self.fault is not None:
            raise self.fault


class Bench:
    def __init__(self, disk: Disk) -> None:
        self.disk, self.clock = disk, Watch()
        self.told: list[Fact] = []
        self.pool = Pool(SETTINGS, self.clock)
        self.incidents = Incidents(
            self.pool,
            RecentLaunches(self.clock),
            Nobody,
            lambda: SETTINGS,
            self.clock,
            disk,
            self.told.append,
            every=3600,
        )
        self.history = HistoryKeeper(
            self.pool, lambda: SETTINGS, self.clock, disk, self.told.append, every=3600
        )

    async def look(self, ok: bool) -> None:
        """The member is looked at for as long as it takes to believe it, then a second goes by."""
        for _ in range(2):
            self.pool.observe(ProbeResult("alpha", self.clock.at, ok, True, "broken"))
        for _ in range(2):
            self.clock.at += 400  # past every back-off and slow start
            self.pool.tick()
            self.incidents.tick()
            await self.incidents._write(last=False)

    def faults(self) -> list[str]:
        return [str(fact.error) for fact in self.told if isinstance(fact, LoopFailed)]


async def test_a_file_that_grows_is_written_anew_with_one_line_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_RECORDS", 30)
    bench = Bench(Disk())
    async with bench.incidents:
        for _ in range(12):
            await bench.look(ok=False)
            await bench.look(ok=True)
    assert bench.disk.replaced > 0 and len(bench.disk.records) <= 30
    again = Bench(Disk(bench.disk.records))
    async with again.incidents:
        assert [one.id for one in again.incidents.all()] == [one.id for one in bench.incidents.all()]
        assert len(again.incidents.all()) > 5


async def test_a_full_disk_is_told_once_and_loses_nothing() -> None:
    bench = Bench(Disk())
    async with bench.incidents:
        bench.disk.fault = OSError("no space left")
        await bench.look(ok=False)
        await bench.look(ok=True)
        assert bench.faults() == ["no space left"] and bench.disk.records == []
        bench.disk.fault = None
    assert bench.disk.records, "what waits is written at the end"


async def test_files_that_cannot_be_read_are_left_as_they_are() -> None:
    disk = Disk([{"version": 1, "precious": True}])
    disk.document = {"version": 99, "precious": True}
    bench = Bench(disk)
    disk.fault = OSError("input/output error")
    async with bench.incidents, bench.history:
        disk.fault = None
        await bench.look(ok=False)
        bench.history.tick()
    assert disk.records == [{"version": 1, "precious": True}]
    assert disk.document == {"version": 99, "precious": True}
    assert len(bench.faults()) == 2 and all("left as it is" in fault for fault in bench.faults())


async def test_history_is_written_at_the_end_and_read_again() -> None:
    bench = Bench(Disk())
    async with bench.history:
        pass
    assert bench.disk.document is None, "nothing is known, so nothing is kept"
    bench = Bench(Disk())
    async with bench.history:
        bench.pool.observe(ProbeResult("alpha", 1e9, True, True))
        bench.history.tick()
        bench.clock.at += 20
        bench.history.tick()
    other = Bench(bench.disk)
    async with other.history:
        (day,) = other.history.history.days.values()
        assert day.members["alpha"].up == 20
