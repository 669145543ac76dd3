"""The one budget of further attempts that all launches of the federation share. Knows no launch."""

from __future__ import annotations

from collections.abc import Callable

from federation.core.retry_budget import Balance, paid_in, taken_out
from federation.service.dispatch import InForce


class RetryBudget:
    """Holds the balance. `now` is in seconds that never go back, such as the event loop's time."""

    def __init__(self, in_force: InForce, now: Callable[[], float]) -> None:
        self._in_force = in_force
        self._now = now
        self._balance = Balance(at=now())

    @property
    def left(self) -> float:
        """Further attempts that were left when the budget was last used."""
        return self._balance.attempts

    def launched(self) -> None:
        """A launch begins, and pays its share in."""
        self._balance = paid_in(self._balance, self._in_force().launch.retry_budget, self._now())

    def granted(self) -> bool:
        """Whether a launch may make a further attempt now; if so it is paid for."""
        balance = taken_out(self._balance, self._now())
        if balance is None:
            return False
        self._balance = balance
        return True
