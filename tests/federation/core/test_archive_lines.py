"""One launch as a line of the archive: mybinder.org's names and forms, and nothing personal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_events.schema import EventSchema

from federation.core.archive import (
    NAMES,
    PIECE,
    day_in,
    day_of,
    file_of,
    folder_of,
    index_lines,
    index_page,
    line_of,
    minute_of,
    origin_of,
    public_spec,
    whole_size,
)
from federation.core.errors import LaunchError
from federation.core.facts import LaunchEnded, Outcome, Redirected
from federation.core.launchkey import parse_launch, parse_spec, shown
from federation.core.model import Member, MemberView
from federation.core.providers import BY_ID
from federation.core.rules import ArchiveRules, Settings
from members.adapters.events import SCHEMA

AT = 1704164699.9  # 2024-01-02T03:04:59.9
COMMIT = "50533eb470ee6c24e872043d30b2fee463d6943f"
LAUNCH = parse_launch("/build/gh/binder-examples/requirements/HEAD", "urlpath=lab&build_token=abc")
VIEW = MemberView(Member("alpha", "http://alpha", 1.0))


def ended(outcome: Outcome = Outcome.READY, cause: str = "ready", **more: Any) -> LaunchEnded:
    told = {"at": AT, "commit": COMMIT, "phases": (("launching", 2.0004), ("built", 0.5)), **more}
    return LaunchEnded(LAUNCH, 7, outcome, "alpha", 2, cause, 4.25, 1.5, **told)


def test_a_launch_that_was_ready_has_every_field_of_upstream_and_ours() -> None:
    assert line_of(ended(built=True, with_token=True), "mybinder.example.org") == {
        "timestamp": "2024-01-02T03:04:00+00:00",
        "schema": "binderhub.jupyter.org/launch",
        "version": 6,
        "provider": "GitHub",
        "spec": "binder-examples/requirements/HEAD",
        "ref": COMMIT,
        "status": "success",
        "build_token": True,
        "origin": "mybinder.example.org",
        "outcome": "ready",
        "cause": "ready",
        "member": "alpha",
        "attempts": 2,
        "built": True,
        "seconds": 4.25,
        "waited": 1.5,
        "milliseconds": {"launching": 2000, "built": 500},
    }


def test_only_an_end_that_was_seen_has_a_status() -> None:
    failed = line_of(ended(Outcome.FAILED, "repository", commit=None), "")
    assert (failed["status"], failed["cause"], failed["ref"]) == ("failure", "repository", "")
    left = line_of(ended(Outcome.ABANDONED, "abandoned"), "")
    handed = line_of(Redirected(LAUNCH, 1, VIEW, (VIEW,), AT), "")
    assert "status" not in left and "status" not in handed
    assert (handed["outcome"], handed["member"], handed["attempts"]) == ("redirected", "alpha", 1)
    assert handed["build_token"] is True and "seconds" not in handed


@pytest.mark.parametrize("id", BY_ID)
def test_every_kind_of_repository_makes_a_line_of_the_launch_schema(id: str) -> None:
    """The schema as members have it, which is upstream's version 6."""
    spec = f"{quote('https://example.org/r', safe='')}/HEAD" if id == "git" else "user/name/HEAD"
    launch = parse_spec(f"{id}/{spec}")
    line = line_of(LaunchEnded(launch, 1, Outcome.READY, "a", 1, "ready", 1.0, at=AT), "example.org")
    told = {name: line[name] for name in SCHEMA["properties"] if name != "request_origin"}
    EventSchema(SCHEMA).validate(told)
    assert "request_origin" not in line


def test_the_names_of_the_schema_are_all_used() -> None:
    assert set(NAMES) == set(BY_ID)
    assert sorted(NAMES.values()) == sorted(SCHEMA["properties"]["provider"]["enum"])


@given(st.floats(0, 253402300799, exclude_max=True))
def test_times_are_cut_to_the_minute_as_isoformat_writes_them(at: float) -> None:
    expected = datetime.fromtimestamp(int(at), UTC).replace(second=0)
    assert minute_of(at) == expected.isoformat()
    assert day_of(at) == expected.date().isoformat()
    assert day_in(file_of(day_of(at))) == day_of(at)


SAFE = st.text("abcdefghijklmnop0123456789._-", min_size=1, max_size=12).filter(lambda t: t.strip("."))


@given(SAFE, SAFE, SAFE, SAFE)
def test_no_credentials_stay_and_the_rest_does(user: str, host: str, path: str, ref: str) -> None:
    secret = "S3CRET"
    url = f"https://{user}:{secret}@{host}/{path}?private_token={secret}"
    told = public_spec(parse_spec(f"git/{quote(url, safe='')}/{ref}"))
    assert secret not in unquote(unquote(told))
    assert told == f"{quote(f'https://{host}/{path}?private_token=…', safe='')}/{ref}"


@given(st.text(max_size=60), SAFE)
def test_whatever_is_asked_for_nothing_that_is_hidden_is_published(odd: str, ref: str) -> None:
    for path in (f"git/{quote('ssh://a/' + odd, safe='')}/{ref}", f"gh/{ref}/x/{quote(odd)}/{ref}"):
        try:
            launch = parse_spec(path)
        except LaunchError:
            continue
        told = public_spec(launch)
        repo, slash, rest = told.partition("/")
        for part in (repo, slash + rest):
            assert shown(part) == unquote(part)
        assert told.isascii() and told.isprintable()
        if shown(launch.spec) == unquote(launch.spec):
            assert told == launch.spec.rstrip("/")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("gh/user/repo/https://me:S3CRET@example.org", "user/repo/https%3A//example.org"),
        ("git/https%3A%2F%2Fexample.org%2F/me:S3CRET@x", "https%3A//example.org//x"),
        ("git/https%3A%2F%2Fexample.org%2Fr//me:S3CRET@x", "https%3A%2F%2Fexample.org%2Fr//x"),
    ],
)
def test_a_hidden_part_across_a_slash_goes_too(asked: str, told: str) -> None:
    assert public_spec(parse_spec(asked)) == told


@pytest.mark.parametrize(
    "name",
    [
        "events-2024-1-02.jsonl",
        "events-2024-13-02.jsonl",
        "events-2024-01-32.jsonl",
        "events-2024-01-02.jsonl\n",
        "events-2024-01-02.jsonl.part",
        "../events-2024-01-02.jsonl",
        "index.jsonl",
        "events-２０２４-01-02.jsonl",
    ],
)
def test_other_names_are_no_files_of_the_archive(name: str) -> None:
    assert day_in(name) is None


def test_the_index_is_mybinders_and_the_page_begins_with_the_newest() -> None:
    counts = {"2024-01-02": 3, "2023-12-31": 1}
    text = index_lines(counts)
    assert [json.loads(line) for line in text.split("\n")] == [
        {"name": "events-2023-12-31.jsonl", "date": "2023-12-31", "count": "1"},
        {"name": "events-2024-01-02.jsonl", "date": "2024-01-02", "count": "3"},
    ]
    page = index_page(counts, "<Us>")
    assert page.index("2024-01-02") < page.index("2023-12-31") and "<Us>" not in page
    assert index_lines({}) == ""


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_whole_lines_end_with_the_last_line_end(begin: bytes, rest: bytes) -> None:
    for data in (begin + b"\n" + rest, begin + b"\n" + PIECE * b"x" + rest.replace(b"\n", b"")):
        size = whole_size(len(data), lambda length, at, data=data: data[at : at + length])
        assert size == data.rfind(b"\n") + 1
    assert whole_size(3, lambda length, at: b"abc"[at : at + length]) == 0


def test_where_the_archive_is_and_whose() -> None:
    settings = Settings((), public_url="https://Mybinder.example.org:8443")
    assert (folder_of(settings), origin_of(settings)) == (None, "Mybinder.example.org:8443")
    assert origin_of(Settings(())) == ""
    assert folder_of(Settings((), state_folder="/s")) == "/s/archive"
    assert folder_of(Settings((), state_folder="/s", archive=ArchiveRules("/a"))) == "/a"
