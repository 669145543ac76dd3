"""Which members were chosen in the last minutes, and how often. Knows no weight."""

from __future__ import annotations

from collections import Counter, deque

from federation.core.facts import Chosen, Fact, Redirected
from federation.service.ports import Clock

SPAN = 60  # seconds that are counted as one
SPANS = 10


class RecentChoices:
    """A listener that counts choices by member, over the present span and those before it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._spans: deque[tuple[int, Counter[str]]] = deque(maxlen=SPANS)

    def listen(self, fact: Fact) -> None:
        match fact:
            case Chosen(member=member):
                self.count(member)
            case Redirected(view=view):
                self.count(view.member.name)
            case _:
                pass

    def count(self, member: str) -> None:
        """One more launch, or a further attempt of one, went to this member now."""
        span = int(self._clock.now()) // SPAN
        if not self._spans or self._spans[-1][0] != span:
            self._spans.append((span, Counter()))
        self._spans[-1][1][member] += 1

    def counts(self) -> Counter[str]:
        """Choices by member over the last ten minutes, the last one being as young as it is."""
        now = int(self._clock.now()) // SPAN
        total: Counter[str] = Counter()
        for span, counted in self._spans:
            if now - SPANS < span <= now:
                total += counted
        return total
