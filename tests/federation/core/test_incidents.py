"""When incidents are opened and closed, from figures and facts alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.core.facts import (
    AttemptEnded,
    BlindnessChanged,
    Fact,
    LaunchEnded,
    Outcome,
    StateChanged,
    Steered,
)
from federation.core.incident import FIRST_NOTES, MOST_NOTES, Cause, Incident, Kind, noted
from federation.core.incidents import STARTING, Book, Look, heard, looked, restored
from federation.core.incidents_kept import read, record
from federation.core.lately import Lately
from federation.core.launchkey import parse_launch
from federation.core.model import Member, MemberView, State
from federation.core.rules import IncidentRules
from federation.core.steering import NOTHING_SET, Override, Word

RULES = IncidentRules(member_out=60.0, success_below=0.9, window=600.0, fewest=10)
LAUNCH = parse_launch("/build/gh/u/r/HEAD")
START = 1_000_000.0


def member(state: State, name: str = "alpha", since: float = START, reason: str = "") -> MemberView:
    return MemberView(Member(name, f"https://{name}.example.org", 1.0), state, since, reason)


def lost(id: int, member: str = "alpha", cause: str = "refused", attempt: int = 1) -> AttemptEnded:
    return AttemptEnded(LAUNCH, id, member, attempt, Outcome.LOST, cause, f"{member} {cause}", 1.0)


def ended(id: int, outcome: Outcome, cause: str = "no_member", waited: float = 0.0) -> LaunchEnded:
    return LaunchEnded(LAUNCH, id, outcome, None, 2, cause, 5.0, waited)


class Desk:
    """A book, and the time that goes by in it."""

    def __init__(self, *views: MemberView, rules: IncidentRules = RULES) -> None:
        self.at = START
        self.rules = rules
        self.book = Book(began=START - STARTING)  # it has been running for a while
        self.look = Look(START, "2026-11-26", views)

    def see(self, *views: MemberView, **figures: object) -> None:
        self.look = replace(self.look, **({"views": views} if views else {}), **figures)  # type: ignore[arg-type]

    def hear(self, *facts: Fact) -> None:
        for fact in facts:
            self.book = heard(self.book, fact, self.at)

    def wait(self, seconds: float, step: float = 1.0) -> None:
        end = self.at + seconds
        while self.at < end:
            self.at += step
            self.book = looked(self.book, replace(self.look, at=self.at), self.rules)

    @property
    def open(self) -> list[Incident]:
        return [one for one in self.book.incidents if one.closed is None]

    @property
    def closed(self) -> list[Incident]:
        return [one for one in self.book.incidents if one.closed is not None]

    def words(self) -> str:
        (one,) = self.book.incidents
        return "\n".join(note.text for note in one.story)


BETA = member(State.HEALTHY, "beta")


def test_a_member_that_is_out_for_long_is_an_incident_until_it_takes_launches_steadily() -> None:
    desk = Desk(member(State.HEALTHY), BETA)
    desk.wait(5)
    desk.hear(lost(1), lost(2), ended(1, Outcome.READY, "ready"), ended(2, Outcome.FAILED))
    desk.hear(StateChanged("alpha", State.HEALTHY, State.EJECTED, "refused the connection", desk.at))
    desk.see(member(State.EJECTED, since=desk.at, reason="refused the connection"), BETA)
    desk.wait(59)
    assert desk.open == []
    desk.wait(3)
    (one,) = desk.open
    assert (one.kind, one.member, one.cause) == (Kind.MEMBER_OUT, "alpha", Cause.MEMBER)
    assert (one.id, one.began, one.affected, one.failed) == ("2026-11-26-01", START + 5, 2, 1)
    assert one.reason == "refused the connection"
    desk.hear(lost(3), ended(3, Outcome.ABANDONED, "abandoned"))
    desk.see(member(State.RECOVERING), BETA)
    desk.wait(200)
    assert desk.open, "a slow start is not yet as before"
    desk.see(member(State.HEALTHY), BETA)
    desk.wait(59)
    assert desk.open
    desk.wait(3)
    assert desk.open == []
    (one,) = desk.closed
    assert (one.affected, one.failed, one.causes) == (3, 1, (("refused", 3),))
    for said in (
        "The first launch was lost on alpha: alpha refused.",
        "alpha takes no launches: refused the connection.",
        "Incident opened: alpha has been out of service for 60 s.",
        "The last launch was lost on alpha: alpha refused.",
        "Incident closed: alpha takes launches as before.",
    ):
        assert said in desk.words()


def test_members_that_come_up_with_the_front_door_have_a_while_to_do_so() -> None:
    desk = Desk(member(State.EJECTED), rules=replace(RULES, member_out=3.0))
    desk.book = Book()
    desk.wait(STARTING - 5)
    assert desk.open == []
    desk.see(member(State.HEALTHY))
    desk.wait(1)
    desk.see(member(State.EJECTED))  # from now on it is known to be there
    desk.wait(4)
    assert {one.kind for one in desk.open} == {Kind.MEMBER_OUT, Kind.NO_MEMBER}


def test_a_member_that_never_comes_up_is_an_incident_after_that_while() -> None:
    desk = Desk(member(State.EJECTED), rules=replace(RULES, member_out=3.0))
    desk.book = Book()
    desk.wait(STARTING + 5)
    assert {one.kind for one in desk.open} == {Kind.MEMBER_OUT, Kind.NO_MEMBER}


def test_flaps_are_one_incident_and_their_times_add_up() -> None:
    desk = Desk(member(State.EJECTED), BETA)
    for _ in range(10):
        desk.see(member(State.EJECTED), BETA)
        desk.wait(20)
        desk.see(member(State.HEALTHY), BETA)
        desk.wait(20)
    assert len(desk.book.incidents) == 1 and len(desk.open) == 1
    desk.wait(60)
    assert len(desk.closed) == 1


def test_a_short_fault_is_none() -> None:
    desk = Desk(member(State.EJECTED), BETA)
    desk.wait(30)
    desk.see(member(State.HEALTHY), BETA)
    desk.wait(100)
    desk.see(member(State.EJECTED), BETA)
    desk.wait(40)
    assert desk.book.incidents == ()


def test_what_operators_drain_is_no_incident_and_ends_one() -> None:
    desk = Desk(member(State.DRAINED), BETA)
    desk.wait(500, 5)
    assert desk.book.incidents == ()
    desk.see(member(State.EJECTED), BETA)
    desk.wait(70)
    before, after = NOTHING_SET, Override(drained=Word("ada", "new disk"))
    desk.hear(Steered("alpha", "ada", before, after, "new disk", desk.at))
    desk.see(member(State.DRAINED), BETA)
    desk.wait(2)
    assert len(desk.closed) == 1
    assert "Operators drained alpha: new disk." in desk.words() and "ada" not in desk.words()
    assert "Incident closed: operators drained alpha." in desk.words()


def test_a_member_that_is_removed_ends_its_incident() -> None:
    desk = Desk(member(State.EJECTED), BETA)
    desk.wait(70)
    desk.see(BETA)
    desk.wait(1)
    assert "alpha is no longer configured" in desk.words()


def test_a_second_incident_does_not_count_the_launches_of_the_first() -> None:
    desk = Desk(member(State.EJECTED), BETA)
    desk.hear(lost(1))
    desk.wait(70)
    desk.see(member(State.HEALTHY, since=desk.at), BETA)
    desk.wait(65)
    desk.see(member(State.EJECTED, since=desk.at), BETA)
    desk.wait(65)
    assert [(one.id, one.affected) for one in desk.book.incidents] == [
        ("2026-11-26-02", 0),
        ("2026-11-26-01", 1),
    ]


def test_too_few_launches_that_go_well_are_an_incident_with_hysteresis() -> None:
    desk = Desk(BETA)
    desk.see(lately=Lately(9, 4, 5))
    desk.wait(100)
    assert desk.open == [], "too few to say anything"
    desk.hear(lost(7, "beta", "registry"), ended(7, Outcome.FAILED), ended(8, Outcome.FAILED, "retry_budget"))
    desk.hear(ended(9, Outcome.FAILED, "repository"), ended(10, Outcome.ABANDONED, "abandoned"))
    desk.see(lately=Lately(10, 8, 2))
    desk.wait(2)
    (one,) = desk.open
    assert (one.kind, one.cause, one.affected, one.failed) == (Kind.LAUNCHES_FAIL, Cause.REGISTRY, 2, 2)
    assert "2 of the last 10 launches failed" in desk.words()
    desk.see(lately=Lately(100, 94, 6))
    desk.wait(300)
    assert desk.open, "not good enough yet"
    desk.see(lately=Lately(100, 96, 4))
    desk.wait(70)
    assert desk.open == []


def test_blindness_is_an_incident_of_the_front_door() -> None:
    desk = Desk(member(State.HEALTHY), BETA)
    desk.hear(BlindnessChanged(START, "no member answers"))
    desk.see(blind_since=START)
    desk.wait(1)
    (one,) = desk.open
    assert (one.kind, one.cause, one.member) == (Kind.BLIND, Cause.FRONT_DOOR, "")
    desk.hear(BlindnessChanged(None, "seen again"))
    desk.see(blind_since=None)
    desk.wait(65)
    assert desk.open == [] and "A member answers again." in desk.words()


def test_no_member_at_all_is_an_incident_soon() -> None:
    desk = Desk(member(State.UNKNOWN))
    desk.wait(100)
    assert desk.open == [], "nothing is known at the start"
    desk.see(member(State.EJECTED, reason="failing: Docker registry"))
    desk.wait(12)
    (one,) = desk.open
    assert (one.kind, one.cause) == (Kind.NO_MEMBER, Cause.MEMBER)
    desk.hear(
        ended(1, Outcome.READY, "ready", waited=20.0),
        ended(2, Outcome.FAILED, "waited_too_long", waited=600.0),
    )
    assert [(one.affected, one.failed, dict(one.causes)) for one in desk.open] == [
        (2, 1, {"waited_too_long": 1})
    ]
    desk.wait(60)
    assert {one.kind: one.cause for one in desk.open}[Kind.MEMBER_OUT] is Cause.REGISTRY


def test_a_federation_without_members_has_no_incident() -> None:
    desk = Desk()
    desk.wait(200, 5)
    assert desk.book.incidents == ()


def test_waiting_for_long_is_an_incident_of_capacity() -> None:
    desk = Desk(BETA)
    desk.see(longest=250.0)
    desk.wait(5)
    assert desk.open == []
    desk.see(longest=301.0)
    desk.wait(1)
    assert [(one.kind, one.cause, one.began) for one in desk.open] == [
        (Kind.WAITING, Cause.CAPACITY, desk.at - 301)
    ]
    desk.see(longest=200.0)
    desk.wait(100)
    assert desk.open
    desk.see(longest=0.0)
    desk.wait(65)
    assert desk.open == []


def test_a_restart_goes_on_with_what_was_open() -> None:
    desk = Desk(member(State.EJECTED), BETA)
    desk.wait(70)
    (before,) = desk.open
    desk.book = restored(read([record(before)]), desk.at)
    desk.see(member(State.UNKNOWN), BETA)
    desk.wait(100)
    (one,) = desk.open
    assert one.id == before.id and "The front door started again." in desk.words()
    desk.see(member(State.HEALTHY), BETA)
    desk.wait(65)
    assert len(desk.closed) == 1 and desk.open == []


def test_a_record_with_two_open_ones_of_a_kind_goes_on_with_the_later() -> None:
    one = Incident("2026-11-26-01", Kind.BLIND, "", START, START)
    book = restored([replace(one, id="2026-11-26-02", opened=START + 5), one], START + 10)
    assert [(incident.id, incident.closed) for incident in book.incidents] == [
        ("2026-11-26-02", None),
        ("2026-11-26-01", START + 10),
    ]


def test_a_long_timeline_keeps_its_beginning_and_its_end() -> None:
    one = Incident("2026-11-26-01", Kind.BLIND, "", START, START)
    for number in range(200):
        one = noted(one, START + number, f"entry {number}")
    texts = [note.text for note in one.timeline]
    assert len(texts) == MOST_NOTES and one.left_out == 200 - MOST_NOTES
    assert texts[0] == "entry 0" and texts[FIRST_NOTES - 1] == "entry 19" and texts[-1] == "entry 199"


def test_somebodys_words_are_cut_to_what_may_be_published() -> None:
    one = noted(Incident("x", Kind.BLIND, "", 0, 0), 0, "https://ada:secret@host/x \x1b[31m\n" + "y" * 999)
    (note,) = one.timeline
    assert "secret" not in note.text and "\x1b" not in note.text and len(note.text) <= 300


NAMES = ("alpha", "beta")
moments = st.tuples(
    st.tuples(*(st.sampled_from(State) for _ in NAMES)),
    st.sampled_from([Lately(), Lately(20, 20, 0), Lately(20, 10, 10), Lately(20, 18, 1)]),
    st.booleans(),
    st.sampled_from([0.0, 200.0, 500.0]),
    st.floats(-500, 500),  # a clock may be set
    st.lists(
        st.one_of(
            st.builds(
                lost, st.integers(1, 5), st.sampled_from(NAMES), st.sampled_from(["refused", "registry"])
            ),
            st.builds(ended, st.integers(1, 5), st.sampled_from(Outcome)),
            st.builds(
                StateChanged,
                st.sampled_from(NAMES),
                st.sampled_from(State),
                st.sampled_from(State),
                st.text(max_size=5),
                st.just(START),
            ),
        ),
        max_size=4,
    ),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(moments, max_size=25))
def test_whatever_happens_the_book_stays_in_order(happened: list[tuple]) -> None:  # type: ignore[type-arg]
    """Never two open ones of a kind and member; what is closed never changes; names are unique; all that is open ends
    when all is well again; and a record tells the same incident again."""
    book, at = Book(), START
    ended_ones: dict[str, Incident] = {}

    def look(views: tuple[MemberView, ...], seconds: float, **figures: object) -> None:
        nonlocal book, at
        at += seconds
        book = looked(book, Look(at, "2026-11-26", views, **figures), RULES)  # type: ignore[arg-type]
        keys = [(one.kind, one.member) for one in book.incidents if one.closed is None]
        assert len(keys) == len(set(keys))
        assert len({one.id for one in book.incidents}) == len(book.incidents)
        for one in book.incidents:
            assert one.failed <= one.affected and one.began <= one.opened <= (one.closed or one.opened)
            assert read([record(one)]) == (one,)
            if one.closed is not None:
                assert ended_ones.setdefault(one.id, one) == one
        assert ended_ones.keys() <= {one.id for one in book.incidents}

    for states, lately, blind, longest, seconds, facts in happened:
        reason = "100%2525 \ud7fc  of it " * 30  # somebody's, and longer than what is kept
        views = tuple(member(state, name, reason=reason) for state, name in zip(states, NAMES, strict=True))
        for fact in facts:
            book = heard(book, fact, at)
        look(views, seconds, lately=lately, blind_since=START if blind else None, longest=longest)
    well = tuple(member(State.HEALTHY, name) for name in NAMES)
    for _ in range(3):
        look(well, RULES.member_out)
    assert all(one.closed is not None for one in book.incidents)


@pytest.mark.parametrize(
    ("after", "by", "said"),
    [
        (Override(drained=Word("ada")), "ada", "Operators drained alpha: why."),
        (Override(weight=2.5, weighted=Word("ada")), "ada", "Operators set the weight of alpha to 2.5: why."),
        (Override(drained=Word("ada")), "", "The time that was set is over: alpha is drained: why."),
    ],
)
def test_steering_is_told_without_names(after: Override, by: str, said: str) -> None:
    desk = Desk(member(State.EJECTED), BETA)
    desk.wait(70)
    desk.hear(Steered("alpha", by, NOTHING_SET, after, "why", desk.at))
    assert said in desk.words() and "ada" not in desk.words()
