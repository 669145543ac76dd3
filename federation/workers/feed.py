"""Sends pictures of the members to the workers, some twenty a second at most and always the newest. Knows no process.

A picture is packed once for all of them. It is sent only when something in it has changed, or turns at scarce seats
must change, and only to a worker that has taken the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from federation.core.snapshot import Snapshot
from federation.service.pool import Pool
from federation.workers.channel import packed
from federation.workers.follower import free_seats, headrooms
from federation.workers.messages import Picture, Shown
from federation.workers.shares import scarce

EVERY = 0.05  # seconds


class Fed(Protocol):
    """A worker as the feed knows it."""

    @property
    def hungry(self) -> bool:
        """Whether it has taken what was sent."""

    @property
    def counted(self) -> int: ...

    def show(self, picture: Picture) -> None: ...


@dataclass(frozen=True, slots=True)
class _Packed:
    snapshot: Snapshot
    taken: tuple[int, ...]
    data: bytes
    frees: tuple[float, ...]


class Feed:
    """Call `send` every `EVERY` seconds. `workers` are those that are there now, in any order that lasts."""

    def __init__(self, pool: Pool, workers: Callable[[], Sequence[Fed]]) -> None:
        self._pool = pool
        self._workers = workers
        self._turn = 0
        self._newest: _Packed | None = None
        self._sent: dict[Fed, Picture] = {}

    def send(self) -> None:
        workers = self._workers()
        self._sent = {worker: self._sent[worker] for worker in workers if worker in self._sent}
        if not workers:
            return
        now = self._packed()
        if scarce(now.frees, len(workers)):
            self._turn += 1
        for place, worker in enumerate(workers):
            picture = Picture(now.data, worker.counted, place, len(workers), self._turn)
            if worker.hungry and self._sent.get(worker) != picture:
                self._sent[worker] = picture
                worker.show(picture)

    def _packed(self) -> _Packed:
        snapshot, taken = self._pool.snapshot(), tuple(self._pool.taken)
        old = self._newest
        if old is None or old.snapshot is not snapshot or old.taken != taken:
            shown = Shown(snapshot.views, headrooms(snapshot), taken, self._pool.blind_since)
            old = self._newest = _Packed(snapshot, taken, packed(shown), tuple(free_seats(shown)))
        return old
