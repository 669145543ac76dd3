"""How long launches usually take on each member, learned from facts. Knows no launch under way and no clock."""

from __future__ import annotations

from federation.core.facts import Fact, PhaseEnded, Reconfigured
from federation.core.patience import History, limit, noted


class Patience:
    """A listener for facts that says for how long a launch may stand still on a member."""

    def __init__(self) -> None:
        self._histories: dict[str, History] = {}

    def listen(self, fact: Fact) -> None:
        match fact:
            case PhaseEnded(member, phase, seconds):
                history = self._histories.get(member, History())
                self._histories[member] = noted(history, phase, seconds)
            case Reconfigured():
                for name in fact.removed:
                    self._histories.pop(name, None)
            case _:
                pass

    def limit(self, member: str, phase: str, default: float) -> float:
        """Seconds; `default` as long as too little is known of this member in this phase."""
        history = self._histories.get(member)
        return default if history is None else limit(history, phase, default)
