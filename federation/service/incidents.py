"""Incidents as they come and go, and their record over a restart. Knows no file format and no page.

What cannot be read or written is told, once until it goes well again, and harms nothing: the incidents go on in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from federation.core.facts import Fact, IncidentChanged, Listener
from federation.core.incident import Change, Incident, Kind
from federation.core.incidents import Book, Look, heard, looked, restored
from federation.core.incidents_kept import read, record
from federation.service.dispatch import InForce
from federation.service.keeper import Keeper
from federation.service.lately import RecentLaunches
from federation.service.ports import Clock, IncidentStore, Line, Members

EVERY = 1.0  # seconds between two looks
QUIET = 30.0  # seconds between two records of an incident that goes on
MOST_RECORDS = 2000  # in the file, until it is written anew with one for each incident
FILE = "incidents.jsonl"


class Incidents(Keeper):
    """A listener that looks once a second. `async with` it before the first look at a member: what was kept is read
    when the block begins. A file that is there and cannot be read is left as it is. `line` gives those who wait for a
    seat."""

    def __init__(
        self,
        pool: Members,
        lately: RecentLaunches,
        line: Callable[[], Line],
        in_force: InForce,
        clock: Clock,
        store: IncidentStore,
        tell: Listener,
        *,
        every: float = EVERY,
    ) -> None:
        super().__init__("incidents", tell, every)
        self.since = clock.now()  # when this began to look
        self._pool = pool
        self._lately = lately
        self._line = line
        self._in_force = in_force
        self._clock = clock
        self._store = store
        self._book = Book()
        self._told: dict[str, Incident] = {}  # open ones, as listeners know them
        self._written: dict[str, tuple[float, Incident]] = {}
        self._unwritten: dict[str, Incident] = {}
        self._records = 0
        self._unread = ""  # a folder with a record that must not be lost

    def all(self) -> tuple[Incident, ...]:
        """The incidents that are remembered, the latest first."""
        return self._book.incidents

    def open(self) -> tuple[Incident, ...]:
        """Those that go on, the latest first."""
        return tuple(incident for incident in self.all() if incident.closed is None)

    def open_by_kind(self) -> dict[str, int]:
        """How many of each kind go on; 0 where none does."""
        going = self.open()
        return {kind.value: sum(incident.kind is kind for incident in going) for kind in Kind}

    def find(self, id: str) -> Incident | None:
        return next((incident for incident in self.all() if incident.id == id), None)

    def listen(self, fact: Fact) -> None:
        self._book = heard(self._book, fact, self._clock.now())

    def tick(self) -> None:
        """Opens, closes and tells of what has changed."""
        settings, line, now = self._in_force(), self._line(), self._clock.now()
        look = Look(
            now,
            datetime.fromtimestamp(now, UTC).date().isoformat(),
            self._pool.views(),
            self._lately.within(settings.incidents.window),
            self._pool.blind_since,
            line.longest,
            settings.waiting.timeout,
        )
        self._book = looked(self._book, look, settings.incidents)
        known, self._told = self._told, {incident.id: incident for incident in self.open()}
        for id, incident in self._told.items():
            if id not in known:
                self._changed(incident, Change.OPENED)
            elif incident != known[id]:
                self._changed(incident, Change.CHANGED)
        for id in known.keys() - self._told.keys():
            if (ended := self.find(id)) is not None:
                self._changed(ended, Change.CLOSED)

    def _changed(self, incident: Incident, change: Change) -> None:
        self._unwritten[incident.id] = incident
        self._tell(IncidentChanged(incident, change))

    async def _turn(self, *, last: bool) -> None:
        try:
            self.tick()
        except Exception as error:  # what was noted is kept all the same
            self._fault(error)
        await self._write(last=last)

    async def _begin(self) -> None:
        folder = self._in_force().state_folder
        if folder is None:
            return
        try:
            records = await self._store.read(f"{folder}/{FILE}")
        except Exception as error:  # the front door starts without it
            self._unread = folder
            self._fault(ValueError(f"{folder}/{FILE}: {error}; it is left as it is, and nothing is written"))
            return
        self._records = len(records)
        self._book = restored(read(records), self._clock.now())
        self._told = {incident.id: incident for incident in self.open()}
        self._unwritten = dict(self._told)

    async def _write(self, *, last: bool) -> None:
        folder, now = self._in_force().state_folder, self._clock.now()
        due = [incident for incident in self._unwritten.values() if last or self._due(incident, now)]
        if folder is None or folder == self._unread or not due:
            return
        path = f"{folder}/{FILE}"
        try:
            if self._records + len(due) > MOST_RECORDS:
                everything = self.all()[::-1]
                await self._store.replace(path, [record(incident) for incident in everything])
                self._records = len(everything)
            else:
                await self._store.append(path, [record(incident) for incident in due])
                self._records += len(due)
            self._goes_well()
        except Exception as error:  # a full disk must not end the loop
            self._fails(error)
            return
        for incident in due:
            self._written[incident.id] = (now, incident)
            if self._unwritten.get(incident.id) == incident:
                del self._unwritten[incident.id]
            if incident.closed is not None:
                del self._written[incident.id]

    def _due(self, incident: Incident, now: float) -> bool:
        """Opening and closing are written at once, all else from time to time."""
        written = self._written.get(incident.id)
        return written is None or incident.closed is not None or not 0 <= now - written[0] < QUIET
