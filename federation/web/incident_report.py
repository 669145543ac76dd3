"""An incident as a report that an operator completes: Markdown, in the order in which site reliability engineers write
them. Says what the front door saw, and where it can know nothing, who has to.

The order of the sections is that of the postmortem in Betsy Beyer, Chris Jones, Jennifer Petoff, Niall Richard Murphy
(editors), "Site Reliability Engineering", 2016, appendix D, as mybinder.org's operators use it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from federation.core.incident import Incident
from federation.web.words import age, moment

COMPLETE = "_to be completed_"
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~])")


def report(incident: Incident, now: float, base: str, cause: str) -> str:
    """`base` is the front door's address, `cause` the cause class in words."""
    sections = (
        _head(incident, now, cause),
        ("## Summary", "", *_summary(incident, now, cause)),
        ("## Impact", "", *_impact(incident)),
        ("## Timeline", "", *_timeline(incident)),
        ("## What went well", "", *_well(incident), f"- {COMPLETE}"),
        ("## What went badly", "", *_badly(incident, now), f"- {COMPLETE}"),
        (
            "## Where we were lucky",
            "",
            f"- {COMPLETE}: what would have made it worse, and was not there by chance",
        ),
        ("## Action items", "", *_actions()),
        (
            f"Written by the front door at {base} on {moment(now)}, from {base}/federation/v1/incidents/{incident.id}.",
        ),
    )
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def plain(words: str) -> str:
    """Somebody's words as text that no Markdown reader takes for markup."""
    return _MARKUP.sub(r"\\\1", words)


def _head(incident: Incident, now: float, cause: str) -> tuple[str, ...]:
    state = "goes on" if incident.closed is None else f"over after {_length(incident, now)}"
    rows = {
        "Incident": incident.id,
        "State": state,
        "Fault began": moment(incident.began),
        "Incident opened": moment(incident.opened),
        "Incident closed": COMPLETE if incident.closed is None else moment(incident.closed),
        "Member": plain(incident.member) or "the whole federation",
        "Cause class": cause,
        "Lead": COMPLETE,
        "Authors": COMPLETE,
    }
    table = [f"| {name} | {value} |" for name, value in rows.items()]
    return (f"# {incident.id}: {plain(incident.title)}", "", "| | |", "|---|---|", *table)


def _summary(incident: Incident, now: float, cause: str) -> Iterator[str]:
    verb = "has lasted" if incident.closed is None else "lasted"
    told = f" It was told: {plain(incident.reason.rstrip('.'))}." if incident.reason else ""
    yield f"{plain(incident.title)}: this {verb} {_length(incident, now)}. The cause class is {cause}.{told}"
    yield ""
    yield f"Root cause and trigger: {COMPLETE}"


def _impact(incident: Incident) -> Iterator[str]:
    saved = incident.affected - incident.failed
    yield "| Launches | |"
    yield "|---|---|"
    yield f"| met the fault | {incident.affected} |"
    yield f"| failed for their visitors | {incident.failed} |"
    yield f"| did not | {saved} |"
    yield ""
    if incident.causes:
        words = ", ".join(f"{plain(word)} {count}" for word, count in incident.causes)
        yield f"Attempts and launches ended with: {words}."
    else:
        yield "No attempt of a launch was seen to fail. Launches that were redirected are not seen to their end."
    yield ""
    yield f"Other effects, such as running sessions, builds or costs: {COMPLETE}"


def _timeline(incident: Incident) -> Iterator[str]:
    yield from (f"- {moment(note.at)}: {plain(note.text)}" for note in incident.story)
    if incident.left_out:
        yield f"- {incident.left_out} entries in between were left out."
    yield f"- {COMPLETE}: who noticed, what was tried, what helped"


def _well(incident: Incident) -> Iterator[str]:
    noticed = age(max(0.0, incident.opened - incident.began))
    yield f"- The front door opened this incident by itself, {noticed} after the fault began."
    saved = incident.affected - incident.failed
    if saved:
        yield f"- {saved} of {incident.affected} launches that met the fault did not fail for their visitors."


def _badly(incident: Incident, now: float) -> Iterator[str]:
    if incident.failed:
        yield f"- {incident.failed} launches failed for their visitors."
    yield f"- The fault was there for {_length(incident, now)}."


def _actions() -> tuple[str, ...]:
    header = ("| What | Kind | Who | By when |", "|---|---|---|---|")
    kinds = ("prevent", "notice earlier", "repair faster")
    return (*header, *(f"| {COMPLETE} | {kind} | | |" for kind in kinds))


def _length(incident: Incident, now: float) -> str:
    return age((now if incident.closed is None else incident.closed) - incident.began)
