"""The live stream makes everything once, skips to the newest, and costs nothing while nobody listens."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from federation.core.facts import LaunchEnded, Outcome, Steered
from federation.core.model import Launch
from federation.core.rules import DecisionRules, Settings
from federation.core.steering import Override, Word
from federation.service.decisions import Decisions
from federation.service.live import AGES_EVERY, EVERY, KEPT, MOST_INSIDE, MOST_PUBLIC, Crowded, Listener, Live
from federation.service.live_facts import MOST_DECISIONS, LiveFacts

LAUNCH = Launch("gh", "u/r/HEAD", "gh/u/r")


class Members:
    """A members document, and how often it was made and encoded."""

    def __init__(self) -> None:
        self.now = 0.0
        self.state = "healthy"
        self.made = self.encoded = 0

    def document(self, inside: bool) -> dict[str, Any]:
        self.made += 1
        signals = {"probe": {"age": self.now, "checks": []}}
        return {"members": [{"state": self.state, "signals": signals}], "inside": inside}

    def encode(self, document: Any) -> bytes:
        self.encoded += 1
        return orjson.dumps(document)

    def timer(self) -> float:
        return self.now


@pytest.fixture
def members() -> Members:
    return Members()


@pytest.fixture
def live(members: Members) -> Live:
    return Live(members.document, members.encode, members.timer)


def beat(live: Live, members: Members, seconds: float = EVERY) -> None:
    members.now += seconds
    live.beat()


def told(listener: Listener) -> list[tuple[str, Any]]:
    """The events that are new to it: names and documents."""
    events = []
    for block in listener.next().decode().split("\n\n")[:-1]:
        name, data = block.split("\n")
        events.append((name.removeprefix("event: "), orjson.loads(data.removeprefix("data: "))))
    return events


def states(listener: Listener) -> list[str]:
    return [document["members"][0]["state"] for name, document in told(listener) if name == "members"]


def test_nothing_is_made_while_nobody_listens(live: Live, members: Members) -> None:
    for _ in range(5):
        beat(live, members)
    live.publish("incident", {})
    with live.public.listening():
        pass
    made = members.made
    beat(live, members)
    live.publish("incident", {})
    assert made == members.made == 1 and members.encoded == 0


def test_one_document_is_made_for_all_who_listen(live: Live, members: Members) -> None:
    with live.public.listening() as one, live.public.listening() as other:
        assert states(one) == states(other) == ["healthy"]
        assert (members.made, members.encoded) == (1, 1)
        members.state = "ejected"
        beat(live, members)
        assert states(one) == states(other) == ["ejected"]
        live.publish("incident", {"id": 1})
        assert told(one) == told(other) == [("incident", {"id": 1})]
        assert (members.made, members.encoded) == (2, 3)


def test_ages_alone_are_no_news_but_are_set_right_now_and_then(live: Live, members: Members) -> None:
    with live.public.listening() as listener:
        assert states(listener) == ["healthy"]
        news = 0
        for _ in range(int(3 * AGES_EVERY)):
            beat(live, members)
            for name, document in told(listener):
                news += 1
                assert name == "members" and document["members"][0]["signals"]["probe"]["age"] == members.now
        assert news == 3


def test_who_comes_later_gets_the_members_as_they_are_then(live: Live, members: Members) -> None:
    with live.public.listening() as early:
        told(early)
        beat(live, members)
        with live.public.listening() as late:
            ((_, document),) = told(late)
            assert document["members"][0]["signals"]["probe"]["age"] == members.now
        assert told(early) == []


def test_after_a_while_without_listeners_the_first_one_gets_what_is_true_then(
    live: Live, members: Members
) -> None:
    with live.public.listening() as first:
        assert states(first) == ["healthy"]
    members.state = "ejected"
    beat(live, members)
    with live.public.listening() as second:
        assert states(second) == ["ejected"]


def test_who_reads_slowly_skips_to_the_newest_and_hears_what_was_missed(live: Live, members: Members) -> None:
    with live.public.listening() as slow:
        told(slow)
        for number in range(10):
            members.state = f"state {number}"
            beat(live, members)
            live.publish("incident", {"id": number, "text": "x" * (KEPT // 3)})
        events = told(slow)
        names = [name for name, _ in events]
        assert names == ["members", "left_out", "incident", "incident"]
        assert events[0][1]["members"][0]["state"] == "state 9"
        assert events[1][1] == {"decisions": 0, "events": 8}
        assert [document["id"] for _, document in events[2:]] == [8, 9]
        assert told(slow) == []


def test_both_kinds_have_places_of_their_own_and_a_place_comes_free(live: Live) -> None:
    for channel, most in ((live.public, MOST_PUBLIC), (live.inside, MOST_INSIDE)):
        places = [channel.listening() for _ in range(most)]
        for place in places:
            place.__enter__()
        with pytest.raises(Crowded), channel.listening():
            pass
        places[0].__exit__(None, None, None)
        with channel.listening():
            pass


def test_what_is_for_those_inside_does_not_reach_the_public(live: Live) -> None:
    facts = LiveFacts(live, Decisions(lambda: Settings(()), _Still()))
    word = Word("ann", "upgrade", 5.0, 9.0)
    with live.public.listening() as public, live.inside.listening() as inside:
        assert [document["inside"] for _, document in told(public) + told(inside)] == [False, True]
        facts.listen(Steered("alpha", "ann", Override(), Override(drained=word), "upgrade", 5.0))
        assert told(public) == []
        ((name, document),) = told(inside)
        assert (name, document["by"], document["before"]) == ("steered", "ann", None)
        drained = {"by": "ann", "reason": "upgrade", "at": 5.0, "until": 9.0}
        assert document["after"] == {"weight": None, "drained": drained}


class _Still:
    def now(self) -> float:
        return 5.0


@pytest.mark.parametrize("keep", [100, 0])
def test_of_many_launches_some_are_told_and_the_rest_is_counted(live: Live, keep: int) -> None:
    settings = Settings((), decisions=DecisionRules(keep=keep))
    decisions = Decisions(lambda: settings, _Still())
    facts = LiveFacts(live, decisions)
    with live.public.listening() as listener:
        told(listener)
        for second in range(2):
            for number in range(MOST_DECISIONS + 5):
                id = 1 + 100 * second + number
                end = LaunchEnded(LAUNCH, id, Outcome.READY, "alpha", 1, "ready", 2.0, at=5.0)
                decisions.listen(end)
                facts.listen(end)
            facts.beat()
            events = told(listener)
            if not keep:
                assert events == []
                continue
            assert [name for name, _ in events] == ["decision"] * MOST_DECISIONS + ["left_out"]
            assert events[0][1]["outcome"] == "ready" and events[-1][1] == {"decisions": 5, "events": 0}
        facts.beat()
        assert told(listener) == []
