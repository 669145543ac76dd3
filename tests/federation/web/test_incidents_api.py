"""A member is killed: the front door notices, tells, and remembers; it comes back, and that is told too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from described import faults
from door_stage import SOON, Door, StockMember, event, plays, until
from heard import Heard

from federation.core.facts import Fact, IncidentChanged, LoopFailed
from federation.core.incident import Change, Incident, Kind
from federation.core.rules import IncidentRules

QUICK = IncidentRules(member_out=0.4, success_below=0.9, window=600.0, fewest=3)
RETURNS_SOON = replace(SOON, eject_max=0.3)
INCIDENTS = "/federation/v1/incidents"
ATOM = "{http://www.w3.org/2005/Atom}"
CRASH = plays(
    event(phase="waiting", message="x\n"), event(phase="failed", message="Failed to connect to hub\n")
)


def door_of(*members: StockMember, folder: Path | None = None, **more: Any) -> Door:
    state = None if folder is None else str(folder / "state")
    first, *others = members
    configured = [first.configured(1e9), *(other.configured(1e-9) for other in others)]
    more = {"incidents": QUICK, "health": RETURNS_SOON, **more}
    return Door(*configured, state_folder=state, public_url="https://mybinder.example.org", **more)


def listening(door: Door) -> list[Fact]:
    heard: list[Fact] = []
    door.door.subscribe(heard.append)
    return heard


def is_open(door: Door, kind: Kind) -> Callable[[], bool]:
    return lambda: kind in {one.kind for one in now_open(door)}


def now_open(door: Door) -> tuple[Incident, ...]:
    """After a look of its own: nobody has to wait for the next second."""
    door.door.history.tick()
    door.door.incidents.tick()
    return door.door.incidents.open()


async def fetched(door: Door, path: str, **headers: str) -> tuple[int, Mapping[str, str], str]:
    async with door.ask(path, headers=headers) as answer:
        return answer.status, answer.headers, await answer.text()


async def entries(door: Door) -> list[Xml.Element]:
    status, headers, body = await fetched(door, "/status/feed.atom")
    assert status == 200 and headers["Content-Type"] == "application/atom+xml; charset=utf-8"
    root = Xml.fromstring(body)
    assert root.tag == f"{ATOM}feed"
    for name in ("id", "title", "updated", "author"):
        assert root.find(f"{ATOM}{name}") is not None, name
    return root.findall(f"{ATOM}entry")


async def test_a_member_that_is_killed_is_an_incident_until_it_is_back(
    members: tuple[StockMember, StockMember], tmp_path: Path
) -> None:
    alpha, beta = members
    async with door_of(alpha, beta, folder=tmp_path) as door:
        heard = listening(door)
        assert await entries(door) == []
        await alpha.die()
        assert (await door.launch()).takers == ["alpha", "beta"]
        await until(is_open(door, Kind.MEMBER_OUT))

        told = await door.json(f"{INCIDENTS}?state=open")
        (one,) = told["incidents"]
        assert told["next"] is None and faults(told, "Incidents") == []
        assert (one["kind"], one["member"], one["cause"], one["closed"]) == (
            "member_out",
            "alpha",
            "member",
            None,
        )
        assert one["launches"] == {"affected": 1, "failed": 0} and one["title"] == "alpha out of service"
        assert one["began"] <= one["opened"]
        story = " ".join(note["text"] for note in one["timeline"])
        assert "The first launch was lost on alpha: refused the connection." in story
        assert "alpha takes no launches: refused the connection." in story
        assert [note["at"] for note in one["timeline"]] == sorted(note["at"] for note in one["timeline"])
        page = await door.text("/status")
        assert f'id="incident-{one["id"]}" open' in page and "1 launch met it, and none failed" in page
        now = await door.json("/status.json")
        assert faults(now, "Status") == []
        assert now["status"] == "degraded" and [each["id"] for each in now["incidents"]] == [one["id"]]
        assert {each["name"]: each["takes_launches"] for each in now["members"]} == {
            "alpha": False,
            "beta": True,
        }
        (entry,) = await entries(door)
        address = f"https://mybinder.example.org{INCIDENTS}/{one['id']}"
        assert entry.findtext(f"{ATOM}id") == address
        links = {link.get("rel"): link.get("href") for link in entry.findall(f"{ATOM}link")}
        assert links["alternate"] == f"https://mybinder.example.org/status#incident-{one['id']}"

        await alpha.start()
        await until(lambda: not now_open(door))
        closed = await door.json(f"{INCIDENTS}/{one['id']}")
        assert faults(closed, "Incident") == []
        assert closed["closed"] > closed["opened"] and one["id"] == closed["id"]
        assert "Incident closed: alpha takes launches as before." in closed["timeline"][-1]["text"]
        (entry,) = await entries(door)
        assert entry.findtext(f"{ATOM}title") == "alpha out of service (over)"
        report = await door.text(closed["report"])
        changes = [fact.change for fact in heard if isinstance(fact, IncidentChanged)]
        assert changes[0] is Change.OPENED and changes[-1] is Change.CLOSED
        assert not [fact for fact in heard if isinstance(fact, LoopFailed)]

    for heading in (
        f"# {one['id']}: alpha out of service",
        "## Summary",
        "## Impact",
        "## Timeline",
        "## What went well",
        "## What went badly",
        "## Where we were lucky",
        "## Action items",
        "| met the fault | 1 |",
        "| failed for their visitors | 0 |",
        "Attempts and launches ended with: refused 1.",
        "1 of 1 launches that met the fault did not fail for their visitors.",
        "_to be completed_",
    ):
        assert heading in report
    async with door_of(alpha, beta, folder=tmp_path) as door:
        (again,) = (await door.json(INCIDENTS))["incidents"]
        assert again == {key: value for key, value in closed.items() if key != "markdown"}
        assert (await door.json(f"{INCIDENTS}/{again['id']}"))["markdown"] == await door.text(again["report"])
        days = await door.json("/federation/v1/history")
        assert faults(days, "History") == []
        (day,) = [day for day in days["days"] if day["launches"]]
        assert day["launches"] == 1 and day["success"] == 1
        assert 0 < day["members"]["alpha"] < day["members"]["beta"] == 1 and day["up"] == 1


async def test_an_incident_that_is_open_at_a_crash_goes_on(
    members: tuple[StockMember, StockMember], tmp_path: Path
) -> None:
    alpha, beta = members
    async with door_of(alpha, beta, folder=tmp_path) as door:
        await alpha.die()
        await until(is_open(door, Kind.MEMBER_OUT))
        (before,) = door.door.incidents.open()
        record = tmp_path / "state" / "incidents.jsonl"
        await until(record.exists)
        kept = record.read_bytes()
    record.write_bytes(kept + b'{"id": "torn')  # as a crash leaves it
    (tmp_path / "state" / "history.json").write_bytes(b"torn")
    async with door_of(alpha, beta, folder=tmp_path) as door:
        (one,) = door.door.incidents.open()
        assert (one.id, one.opened) == (before.id, before.opened)
        assert "The front door started again." in [note.text for note in one.story]
        await alpha.start()
        await until(lambda: not now_open(door))
    states = [
        json.loads(line)["closed"] for line in record.read_bytes().split(b"\n") if line.startswith(b'{"v')
    ]
    assert states[0] is None and states[-1] is not None
    assert (tmp_path / "state" / "history.json").read_bytes() == b"torn", (
        "what cannot be read is not overwritten"
    )


async def test_launches_that_fail_are_an_incident_with_their_cause(
    members: tuple[StockMember, StockMember],
) -> None:
    alpha, beta = members
    alpha.play = beta.play = plays(
        event(phase="failed", message="The registry of images is gone\n", status_code=503)
    )
    async with door_of(alpha, beta, incidents=replace(QUICK, member_out=3600.0)) as door:
        for number in range(3):
            await door.launch(f"/build/gh/u/repo-{number}/HEAD")
        ended = door.door.lately.within(600)
        await until(is_open(door, Kind.LAUNCHES_FAIL))
        (one,) = (await door.json(INCIDENTS))["incidents"]
        assert one["launches"] == {"affected": ended.bad, "failed": ended.bad} and ended.bad >= 3
        assert one["cause"] == "registry" and one["member"] is None


async def test_a_blind_front_door_opens_one_incident_and_blames_itself(
    members: tuple[StockMember, StockMember],
) -> None:
    alpha, beta = members
    async with door_of(alpha, beta) as door, door.ask("/federation/v1/events") as events:
        stream = Heard(events)
        await stream.next("members")
        await asyncio.gather(alpha.die(), beta.die())
        await until(is_open(door, Kind.BLIND))
        (one,) = (await door.json(f"{INCIDENTS}?state=open"))["incidents"]
        assert (one["kind"], one["cause"]) == ("blind", "front_door")
        assert (await door.json("/status.json"))["status"] == "blind"
        await asyncio.gather(alpha.start(), beta.start())
        await until(lambda: not now_open(door))
        assert [one.kind for one in door.door.incidents.all()] == [Kind.BLIND]
        told = await stream.next("incident")
        assert (told["id"], told["closed"]) == (one["id"], None), "it is told while it goes on"


@pytest.fixture
async def empty() -> AsyncIterator[Door]:
    async with Door(wait=False) as door:
        yield door


async def test_a_fresh_install_without_members_tells_all_of_it(empty: Door) -> None:
    assert (await empty.json(INCIDENTS)) == {"incidents": [], "next": None}
    days = (await empty.json("/federation/v1/history"))["days"]
    assert len(days) == 90 and all(day["up"] is None and day["members"] == {} for day in days)
    page = await empty.text("/status")
    assert "No member is configured." in page and "None is open." in page and "nothing is known yet" in page
    assert (await empty.json("/status.json"))["status"] == "down"
    status, headers, body = await fetched(empty, "/status/feed.atom")
    assert status == 200
    again = await fetched(empty, "/status/feed.atom", **{"If-None-Match": headers["ETag"]})
    assert (again[0], again[2]) == (304, "")
    other = await fetched(empty, "/status/feed.atom", **{"If-None-Match": '"other"'})
    assert other[2] == body


@pytest.mark.parametrize(
    ("query", "key", "expected"),
    [
        ("state=both", "state", "one of open, closed"),
        ("limit=0", "limit", "a whole number from 1 to 200"),
        ("limit=9999", "limit", "a whole number from 1 to 200"),
        ("before=x", "before", "the id of an incident that is remembered"),
        ("state=open&state=closed", "state", "one value"),
        ("stat=open", "stat", "one of the parameters state, limit, before"),
    ],
)
async def test_a_bad_parameter_is_named(empty: Door, query: str, key: str, expected: str) -> None:
    async with empty.ask(f"{INCIDENTS}?{query}") as answer:
        told = await answer.json()
        assert (answer.status, told["key"], told["expected"]) == (400, key, expected)


async def test_an_incident_that_is_not_remembered_is_not_found(empty: Door) -> None:
    for path in (f"{INCIDENTS}/2026-01-01-01", f"{INCIDENTS}/nope/report"):
        async with empty.ask(path) as answer:
            assert answer.status == 404 and "no incident" in (await answer.json())["message"]
