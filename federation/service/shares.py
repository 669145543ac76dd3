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
        self._present: Counter[str] = Counter()
        self._ends = 0.0  # when the present span does

    def listen(self, fact: Fact) -> None:
        match fact:
            case Redirected():
                self._span(fact.at)[fact.view.member.name] += 1
            case Chosen(member=member):
                self.count(member)
            case _:
                pass

    def count(self, member: str) -> None:
        """One more launch, or a further attempt of one, went to this member now."""
        self._span(self._clock.now())[member] += 1

    def _span(self, now: float) -> Counter[str]:
        """What is counted now. A clock that was set back begins a span of its own."""
        if not self._ends - SPAN <= now < self._ends:
            span = int(now) // SPAN
            self._present, self._ends = Counter(), (span + 1.0) * SPAN
            self._spans.append((span, self._present))
        return self._present

    def counts(self) -> Counter[str]:
        """Choices by member over the last ten minutes, the last one being as young as it is."""
        now = int(self._clock.now()) // SPAN
        total: Counter[str] = Counter()
        for span, counted in self._spans:
            if now - SPANS < span <= now:
                total += counted
        return total
