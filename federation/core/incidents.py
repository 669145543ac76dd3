"""When an incident is opened and when it is closed, without a person. Knows no clock, no file and no page.

Each kind of fault has a sign: it is there, it is gone, or neither can be said. One that is there for long enough is an
incident; one that is gone for `incidents.member_out` seconds without a break is none any more. A fault that comes and
goes is one incident therefore, and its times add up. A member that was never seen well has a while to come up after
the front door's start, for a whole federation may start at once. What an operator drained, or what is no longer
configured, is expected to take no launches: that ends an incident at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from federation.core.facts import AttemptEnded, Fact, LaunchEnded, StateChanged
from federation.core.incident import Incident, Kind, brief, noted
from federation.core.incident_impact import Happening, Open, cause_of, met, telling
from federation.core.lately import Lately
from federation.core.model import MemberView, State
from federation.core.rules import IncidentRules

MOST_CLOSED = 500  # closed incidents that are remembered
MOST_RECENT = 1000  # happenings that are remembered for an incident to come
BEFORE = 300.0  # seconds before a member was out: the launches for which it was ejected
NOBODY_AFTER = 10.0  # seconds without any member until that is an incident
STARTING = 60.0  # seconds from the first look on in which members may come up
LONGEST_STEP = 30.0  # seconds that one look may add: what was not looked at is not known
TOO_LONG = 0.5  # of `waiting.timeout`

Key = tuple[Kind, str]


class Sign(Enum):
    BAD = "bad"
    BETWEEN = "between"
    WELL = "well"
    EXCUSED = "excused"  # expected to be as it is


@dataclass(frozen=True, slots=True)
class Look:
    """How all stands at one moment. `date` is that of `at`, as it is to begin the names of incidents. `lately` are the
    launches of `incidents.window`; `longest` is how many seconds the first of those who wait for a seat has waited, of
    the `patience` that a launch has at most."""

    at: float
    date: str
    views: tuple[MemberView, ...] = ()
    lately: Lately = field(default_factory=Lately)
    blind_since: float | None = None
    longest: float = 0.0
    patience: float = 600.0


@dataclass(frozen=True, slots=True)
class Course:
    """A fault that is an incident, or may become one. `lasted` are the seconds that it was there, `well_since` is since
    when it has been gone."""

    began: float
    lasted: float = 0.0
    well_since: float | None = None


@dataclass(frozen=True, slots=True)
class Book:
    """All that is known of incidents. `recent` is what happened lately; `closed` has the latest last.
    `began` was the first look, `at` the last one; `proved` are the members that were seen well in between."""

    open: Mapping[Key, Open] = field(default_factory=dict)
    closed: tuple[Incident, ...] = ()
    courses: Mapping[Key, Course] = field(default_factory=dict)
    recent: tuple[tuple[float, Happening], ...] = ()
    began: float | None = None
    at: float | None = None
    proved: frozenset[str] = frozenset()

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """All of them, the latest first."""
        found = [*self.closed, *(one.incident for one in self.open.values())]
        return tuple(sorted(found, key=lambda one: (one.opened, _number(one.id)), reverse=True))


def heard(book: Book, fact: Fact, at: float) -> Book:
    """What a fact adds to the incidents that are open, and to those that may follow."""
    if isinstance(fact, StateChanged) and _of_member(fact.after) is Sign.WELL:
        book = replace(book, proved=book.proved | {fact.member})
    happening = telling(fact)
    if happening is None:
        if not isinstance(fact, LaunchEnded) or not any(fact.id in one.pending for one in book.open.values()):
            return book
        happening = fact  # it went well at last, or its visitor left
    open = {key: met(one, happening, at) for key, one in book.open.items()}
    return replace(book, open=open, recent=(*book.recent, (at, happening))[-MOST_RECENT:])


def looked(book: Book, look: Look, rules: IncidentRules) -> Book:
    """Opens and closes what is to be opened and closed at this moment."""
    step = 0.0 if book.at is None else min(max(0.0, look.at - book.at), LONGEST_STEP)
    kept = max(BEFORE + rules.member_out, rules.window)
    recent = tuple(one for one in book.recent if abs(look.at - one[0]) <= kept)
    began = look.at if book.began is None else book.began
    proved = book.proved | {view.member.name for view in look.views if _of_member(view.state) is Sign.WELL}
    book = replace(book, recent=recent, began=began, at=look.at, proved=proved)
    signs = _signs(look, rules)
    if 0 <= look.at - began < STARTING:
        signs = {key: _unhurried(key, sign, proved) for key, sign in signs.items()}
    for key in dict.fromkeys((*signs, *book.courses, *book.open)):
        book = _followed(book, key, signs.get(key, Sign.EXCUSED), look, rules, step)
    return book


def restored(incidents: Iterable[Incident], at: float) -> Book:
    """What is known after a restart. Those that were open go on: whether they are over will be seen. Of two of one kind
    and member, which only a damaged record can hold, the later one does."""
    open: dict[Key, Open] = {}
    closed: list[Incident] = []
    for incident in sorted(incidents, key=lambda one: (one.opened, _number(one.id))):
        if incident.closed is not None:
            closed.append(incident)
            continue
        incident = noted(incident, at, "The front door started again.")
        key = (incident.kind, incident.member)
        if key in open:
            closed.append(replace(open[key].incident, closed=max(at, open[key].incident.opened)))
        open[key] = Open(incident)
    courses = {key: Course(one.incident.began) for key, one in open.items()}
    closed.sort(key=lambda one: (one.closed or 0.0, _number(one.id)))
    return Book(open, tuple(closed[-MOST_CLOSED:]), courses)


def _signs(look: Look, rules: IncidentRules) -> dict[Key, Sign]:
    """All signs of this moment. A member without one is excused."""
    signs: dict[Key, Sign] = {
        (Kind.MEMBER_OUT, view.member.name): _of_member(view.state)
        for view in look.views
        if view.state is not State.DRAINED
    }
    signs[Kind.LAUNCHES_FAIL, ""] = _of_launches(look.lately, rules)
    signs[Kind.BLIND, ""] = Sign.WELL if look.blind_since is None else Sign.BAD
    if look.views:
        signs[Kind.NO_MEMBER, ""] = _of_all(look.views)
    too_long = TOO_LONG * look.patience
    signs[Kind.WAITING, ""] = (
        Sign.BAD if look.longest > too_long else Sign.BETWEEN if look.longest > too_long / 2 else Sign.WELL
    )
    return signs


def _unhurried(key: Key, sign: Sign, proved: frozenset[str]) -> Sign:
    """The sign of a federation that starts: who is not there yet may only be slow."""
    kind, name = key
    waited_for = (kind is Kind.MEMBER_OUT and name not in proved) or (kind is Kind.NO_MEMBER and not proved)
    return Sign.BETWEEN if waited_for and sign is Sign.BAD else sign


def _of_member(state: State) -> Sign:
    match state:
        case State.EJECTED | State.TRIAL:
            return Sign.BAD
        case State.HEALTHY | State.DEGRADED:
            return Sign.WELL
        case _:
            return Sign.BETWEEN


def _of_launches(lately: Lately, rules: IncidentRules) -> Sign:
    """Half the way from the limit to the whole is to be made good before it counts as over."""
    success = lately.success
    if success is None or success >= (1 + rules.success_below) / 2:
        return Sign.WELL
    few = lately.good + lately.bad < rules.fewest
    return Sign.BETWEEN if few or success >= rules.success_below else Sign.BAD


def _of_all(views: Iterable[MemberView]) -> Sign:
    states = [view.state for view in views]
    if any(view in (State.HEALTHY, State.DEGRADED, State.RECOVERING, State.TRIAL) for view in states):
        return Sign.WELL
    return Sign.BETWEEN if State.UNKNOWN in states else Sign.BAD


def _followed(book: Book, key: Key, sign: Sign, look: Look, rules: IncidentRules, step: float) -> Book:
    """One fault, one look later."""
    course = _gone_on(book.courses.get(key), key, sign, look, step)
    courses = {other: one for other, one in book.courses.items() if other != key}
    one = book.open.get(key)
    over = sign is Sign.EXCUSED or (
        course is not None
        and course.well_since is not None
        and look.at - course.well_since >= rules.member_out
    )
    if over or course is None:
        return _closed(replace(book, courses=courses), key, sign, look)
    book = replace(book, courses={**courses, key: course})
    if one is None:
        due = sign is Sign.BAD and course.lasted >= _after(key[0], rules)
        return _opened(book, key, course, look, rules) if due else book
    cause = cause_of(one.incident, ejected=_ejected(look.views))
    if cause is one.incident.cause:
        return book
    return replace(book, open={**book.open, key: replace(one, incident=replace(one.incident, cause=cause))})


def _gone_on(course: Course | None, key: Key, sign: Sign, look: Look, step: float) -> Course | None:
    match sign:
        case Sign.BAD if course is None:
            return Course(min(look.at, _beginning(key, look)))
        case Sign.BAD if course is not None:
            return replace(course, lasted=course.lasted + step, well_since=None)
        case Sign.WELL if course is not None:
            since = course.well_since
            return replace(course, well_since=look.at if since is None else min(since, look.at))
        case _:
            return None if course is None else replace(course, well_since=None)


def _beginning(key: Key, look: Look) -> float:
    kind, name = key
    match kind:
        case Kind.MEMBER_OUT:
            return next(view.since for view in look.views if view.member.name == name)
        case Kind.BLIND if look.blind_since is not None:
            return look.blind_since
        case Kind.NO_MEMBER:
            return max(view.since for view in look.views)
        case Kind.WAITING:
            return look.at - look.longest
        case _:
            return look.at


def _after(kind: Kind, rules: IncidentRules) -> float:
    """Seconds that a fault has to last. Of launches that fail, of blindness and of waiting much was seen already."""
    match kind:
        case Kind.MEMBER_OUT:
            return rules.member_out
        case Kind.NO_MEMBER:
            return min(rules.member_out, NOBODY_AFTER)
        case _:
            return 0.0


def _opened(book: Book, key: Key, course: Course, look: Look, rules: IncidentRules) -> Book:
    kind, name = key
    number = 1 + max(
        (_number(one.id)[1] for one in book.incidents if one.id.startswith(look.date)), default=0
    )
    reason = next((view.reason for view in look.views if view.member.name == name), "")
    incident = Incident(f"{look.date}-{number:02d}", kind, name, course.began, look.at, reason=brief(reason))
    before = {Kind.MEMBER_OUT: BEFORE, Kind.LAUNCHES_FAIL: rules.window}.get(kind, 0.0)
    ended = [one.closed or 0.0 for one in book.closed if (one.kind, one.member) == key]
    since = max([course.began - before, *ended])  # what was told by the incident before is not told again
    one = Open(incident)
    for at, happening in book.recent:
        of_a_launch = isinstance(happening, AttemptEnded | LaunchEnded)
        if (since if of_a_launch else max(since, course.began)) <= at <= look.at:
            one = met(one, happening, at)
    incident = noted(one.incident, look.at, f"Incident opened: {_why(kind, name, course, look)}.")
    incident = replace(incident, cause=cause_of(incident, ejected=_ejected(look.views)))
    return replace(book, open={**book.open, key: replace(one, incident=incident)})


def _closed(book: Book, key: Key, sign: Sign, look: Look) -> Book:
    one = book.open.get(key)
    if one is None:
        return book
    at = max(look.at, one.incident.opened)
    if sign is not Sign.EXCUSED:
        why = _how_it_ended(key)
    elif any(view.member.name == key[1] for view in look.views):
        why = f"operators drained {key[1]}"
    else:
        why = f"{key[1]} is no longer configured" if key[1] else "no member is configured"
    incident = replace(noted(one.incident, at, f"Incident closed: {why}."), closed=at)
    open = {other: still for other, still in book.open.items() if other != key}
    return replace(book, open=open, closed=(*book.closed, incident)[-MOST_CLOSED:])


def _why(kind: Kind, name: str, course: Course, look: Look) -> str:
    match kind:
        case Kind.MEMBER_OUT:
            return f"{name} has been out of service for {course.lasted:.0f} s"
        case Kind.LAUNCHES_FAIL:
            told = look.lately.good + look.lately.bad
            return f"{look.lately.bad} of the last {told} launches failed by no fault of their visitors"
        case Kind.BLIND:
            return "no member answers; launches go by the last good view of them"
        case Kind.NO_MEMBER:
            return "no member takes launches"
        case Kind.WAITING:
            return f"the first in line has waited for a seat for {look.longest:.0f} s"


def _how_it_ended(key: Key) -> str:
    match key[0]:
        case Kind.MEMBER_OUT:
            return f"{key[1]} takes launches as before"
        case Kind.LAUNCHES_FAIL:
            return "launches go well again"
        case Kind.BLIND:
            return "members answer again"
        case Kind.NO_MEMBER:
            return "launches are taken again"
        case Kind.WAITING:
            return "nobody waits long any more"


def _ejected(views: Iterable[MemberView]) -> bool:
    return any(view.state is State.EJECTED for view in views)


def _number(id: str) -> tuple[str, int]:
    """What a name is sorted by: its date, and its number on that day."""
    date, _, number = id.rpartition("-")
    return date, int(number) if number.isascii() and number.isdigit() else 0
