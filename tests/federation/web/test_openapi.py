"""The description of the HTTP API is true: every route is in it, and what is answered is what it says."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from described import BELOW, VERBS, described, faults, to_be_tried
from door_stage import Door, StockMember, event, plays
from heard import Heard

from federation.core.model import Member
from federation.core.rules import Operator, Role
from federation.web.identity import digest

Pair = tuple[StockMember, StockMember]
ANN = Operator("ann", Role.OPERATOR, (digest("secret"),))
TOKEN = {"Authorization": "Bearer secret"}
FULL = plays(event(phase="failed", message="Too many users on this BinderHub! Try again soon.\n"))
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
FILES = {("/archive/index.jsonl", "get")}  # served by a route for all files
# A spec has a grammar of its provider, a member has to be there, and an end to lie ahead: no schema says so.
CONFIG = """
[[operations]]
include-path = "/federation/v1/explain"
checks.positive_data_acceptance.expected-statuses = [200, 400]

[[operations]]
include-method = "PATCH"
checks.positive_data_acceptance.expected-statuses = [200, 400, 401, 404, 412]
checks.negative_data_rejection.expected-statuses = [400, 401, 404, 405, 412, 415, 428]
checks.missing_required_header.expected-statuses = [400, 401, 428]

[[operations]]
include-path-regex = "incidents"
checks.positive_data_acceptance.expected-statuses = [200, 400, 404]
"""


@pytest.fixture
async def door(members: Pair) -> AsyncIterator[Door]:
    """Launches of most kinds have been, and one member is out."""
    alpha, beta = members
    dead = Member("dead", "http://127.0.0.1:1", 1.0)
    async with Door(alpha.configured(), beta.configured(seats=5), dead, operators=(ANN,)) as door:
        await door.launch()
        alpha.play = FULL
        await door.launch("/build/gh/u/r/HEAD?member=alpha")
        beta.play = plays(event(phase="failed", message="No such ref: nope\n", status_code=404))
        await door.launch("/build/gh/u/r/nope")
        yield door


def test_it_is_openapi() -> None:
    from openapi_spec_validator import OpenAPIV31SpecValidator  # which makes a grammar for a second

    OpenAPIV31SpecValidator(described()).validate()


async def test_it_is_what_the_front_door_serves(members: Pair) -> None:
    async with Door(members[0].configured()) as door, door.ask(f"{BELOW}/openapi.json") as answer:
        assert answer.status == 200 and answer.content_type == "application/json"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert await answer.json() == described()


async def test_every_route_below_its_address_is_described_and_the_other_way_round(members: Pair) -> None:
    async with Door(members[0].configured()) as door:
        served = {
            (route.resource.canonical, route.method.lower())
            for route in door.runner.app.router.routes()
            if route.resource is not None and route.method not in ("HEAD", "OPTIONS")
        }
    told = {(path, verb) for path, one in described()["paths"].items() for verb in one if verb in VERBS}
    assert {one for one in served if one[0].startswith(BELOW)} <= told
    assert told <= {*served, *FILES}


@pytest.mark.parametrize("headers", [TOKEN, {}], ids=["operator", "public"])
async def test_whatever_is_asked_is_answered_as_described(
    door: Door, headers: dict[str, str], tmp_path: Path
) -> None:
    told, config = tmp_path / "openapi.json", tmp_path / "schemathesis.toml"
    told.write_text(json.dumps(to_be_tried()))
    config.write_text(CONFIG)
    asking = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", f"--config-file={config}", "run", str(told)),
        *(f"--url={str(door.url).rstrip('/')}", f"--checks={','.join(CHECKS)}", "--seed=1", "--no-color"),
        *(f"--phases={'coverage,' if headers else ''}fuzzing", f"--max-examples={8 if headers else 4}"),
        *("--no-shrink", "--generation-database=none", "--request-timeout=30"),
        *(f"--header={name}: {value}" for name, value in headers.items()),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(180):
        report, _ = await asking.communicate()
    assert asking.returncode == 0, report.decode()
    operations = sum(verb in VERBS for path in to_be_tried()["paths"].values() for verb in path)
    assert f"Tested: {operations}\n" in report.decode(), report.decode()


async def test_the_documents_of_events_are_described(door: Door) -> None:
    events = described()["paths"][f"{BELOW}/events"]["get"]["responses"]["200"]["content"][
        "text/event-stream"
    ]
    schemas = {name: one["$ref"].rpartition("/")[2] for name, one in events["x-events"].items()}
    async with door.ask(f"{BELOW}/events", headers=TOKEN) as answer:
        stream = Heard(answer)
        told = {"members": await stream.next("members")}
        for number in range(12):  # two more than are told in a second
            await door.launch(f"/build/gh/u/r{number}/HEAD")
        edit, headers = {"weight": 2, "reason": "more"}, {**TOKEN, "If-Match": "*"}
        async with door.session.patch(
            f"{door.url}{BELOW}/members/alpha", json=edit, headers=headers
        ) as edited:
            assert edited.status == 200
        for name in ("decision", "steered", "left_out"):
            told[name] = await stream.next(name)
    assert (told["steered"]["by"], told["steered"]["after"]["weight"]["value"]) == ("ann", 2)
    assert {name: faults(document, schemas[name]) for name, document in told.items()} == {
        name: [] for name in told
    }


async def test_errors_of_programs_addresses_are_documents_whatever_is_accepted(members: Pair) -> None:
    async with Door(members[0].configured()) as door:
        for status, answering in (
            (404, door.ask(f"{BELOW}/nothing", headers={"Accept": "*/*"})),
            (405, door.session.post(f"{door.url}{BELOW}/members")),
        ):
            async with answering as answer:
                assert answer.status == status and faults(await answer.json(), "Error") == []


async def test_what_is_looked_for_is_bounded_and_said_once(members: Pair) -> None:
    async with Door(members[0].configured(), operators=(ANN,)) as door:
        for path, key in (
            (f"decisions?spec={'x' * 501}", "spec"),
            (f"decisions?member={'x' * 64}", "member"),
            (f"explain?spec=gh/{'x' * 2046}", "spec"),
            ("explain?spec=gh/a/b/c&spec=gh/a/b/d", "spec"),
            ("decisions?limit=5&limit=", "limit"),
            ("audit?before=&before=1", "before"),
        ):
            async with door.ask(f"{BELOW}/{path}", headers=TOKEN) as answer:
                told = await answer.json()
                assert answer.status == 400 and told["key"] == key
                assert told["expected"].startswith(("at most", "one value"))
