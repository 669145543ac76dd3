"""What Prometheus is told of choices: which members launches were sent to, and why. Decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from prometheus_client.core import GaugeMetricFamily, Metric

from federation.adapters.counted import Counts, counter, of
from federation.core.facts import Chosen, Fact, LaunchEnded, Redirected
from federation.core.model import Decision
from federation.core.policies import POLICIES
from federation.core.routing import ASKED, BUILDING, HOLDING, LAST_RESORT, NOBODY

LOAD_BALANCER = "load_balancer"
NOBODY_CHOSEN = ("nobody", "")
PLACES = ("1", "2", "3")
LATER = "later"
OTHER = "other"
_WHYS: Mapping[str, str] = MappingProxyType(
    {
        **{policy.why: "policy" for policy in POLICIES.values()},
        **{policy.why_next: "spilled" for policy in POLICIES.values()},
        ASKED: "asked",
        BUILDING: "builder",
        HOLDING: "holder",
        LAST_RESORT: "last_resort",
        NOBODY: NOBODY_CHOSEN[0],
    }
)
_LONGEST_FIRST = sorted(_WHYS, key=len, reverse=True)  # one may begin as another does


class ChoiceSeries:
    """A listener, and what it counted as series."""

    def __init__(self) -> None:
        self._sent: Counts = Counter()
        self._decisions: Counts = Counter()

    def listen(self, fact: Fact) -> None:
        match fact:
            case Redirected():  # the commonest by far in its mode, so it comes first
                name = fact.view.member.name
                asked = fact.launch.prefer == name
                reason = "asked" if asked else LOAD_BALANCER if fact.view.refusal is None else "last_resort"
                self._sent[name, reason] += 1
            case Chosen(decision, _, member, attempt):
                self._sent[member, _reason(decision, member, attempt)] += 1
                self._decisions[why_label(decision), place_label(decision)] += 1
            case LaunchEnded(decision=decision) if decision is not None:
                self._decisions[NOBODY_CHOSEN] += 1
            case _:
                pass

    def collect(self, names: list[str]) -> Iterator[Metric]:
        """All series, those of members with these names alone."""
        sent = GaugeMetricFamily(
            "federation_redirect_count",
            "Launches sent to a member since start, a counter under upstream's name.",
            labels=["member", "reason"],
        )
        for labels, count in of(names, self._sent, (LOAD_BALANCER,)):
            sent.add_metric(labels, count)
        yield sent
        yield counter(
            "federation_decisions",
            "Choices of a member for a relayed launch, by why it came first and by its place in the order of scores.",
            ["why", "place"],
            {NOBODY_CHOSEN: 0, **self._decisions}.items(),
        )


def why_label(decision: Decision) -> str:
    """Why the first of a decision's candidates comes first, in one word."""
    return next((_WHYS[why] for why in _LONGEST_FIRST if decision.why.startswith(why)), OTHER)


def place_label(decision: Decision) -> str:
    """The place of the first candidate by its score alone, among those that could take the launch."""
    chosen = decision.candidates[0]
    before = sum(candidate.score > chosen.score for candidate in decision.candidates)
    return PLACES[before] if before < len(PLACES) else LATER


def _reason(decision: Decision, member: str, attempt: int) -> str:
    """Why the member was chosen, in upstream's word where upstream has one."""
    if attempt > 1:
        return "failover"
    if decision.launch.prefer == member:
        return "asked"
    return "last_resort" if decision.last_resort else LOAD_BALANCER
