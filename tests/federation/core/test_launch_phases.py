from __future__ import annotations

from typing import Any

import pytest
from door_stage import READY

from federation.core.errors import Garbled
from federation.core.phases import Ending, decode, judge

FINAL, RETRYABLE = Ending.FINAL, Ending.RETRYABLE


def failed(message: str | None = None, status: Any = None) -> dict[str, Any]:
    told: dict[str, Any] = {"phase": "failed"}
    if status is not None:
        told["status_code"] = status
    return told if message is None else {**told, "message": message}


@pytest.mark.parametrize(
    ("event", "built", "ending", "cause"),
    [
        (failed("Too many users on this BinderHub! Try again soon.\n"), False, RETRYABLE, "quota"),
        (
            failed("Too many users running https://github.com/a/b! Try again soon."),
            True,
            RETRYABLE,
            "repo_quota",
        ),
        (failed("Too many users on this BinderHub! Try again soon.", 500), False, RETRYABLE, "quota"),
        (failed("Failed to launch image x\n", 500), True, RETRYABLE, "launch"),
        (failed("Image x for user y took too long to launch\n"), True, RETRYABLE, "launch"),
        (failed(), True, RETRYABLE, "launch"),
        (failed("Internal Server Error\n", 500), False, RETRYABLE, "member_error"),
        (failed("Service Unavailable\n", 503), False, RETRYABLE, "member_error"),
        (failed("Error resolving ref for gh:a/b/c: timeout\n"), False, RETRYABLE, "resolve"),
        (
            failed("Unhandled error watching for build events. Please try again.\n"),
            False,
            RETRYABLE,
            "build_watch",
        ),
        (failed("Could not resolve ref for gh:a/b/c. Double check your URL\n"), False, FINAL, "repository"),
        (failed("No provider found for prefix x\n"), False, RETRYABLE, "beyond_member"),
        (failed("This member is shutting down. Please try again.\n", 503), True, RETRYABLE, "shutting_down"),
        (failed("binder/Dockerfile describes a container image\n", 501), False, RETRYABLE, "beyond_member"),
        (
            failed("Spawn failed: The session's container ended while starting (status 127). x\n", 500),
            True,
            FINAL,
            "repository",
        ),
        (
            failed("Spawn failed: The session's server ended while starting (status 1). x\n", 500),
            True,
            FINAL,
            "repository",
        ),
        (failed("Sorry, a/b is not allowed to launch. Please contact admins!"), False, FINAL, "repository"),
        (failed("Error during build: ..."), False, FINAL, "repository"),
        (failed(), False, FINAL, "repository"),
        ({"phase": "failure", "message": "pip said no"}, False, FINAL, "repository"),
        ({"phase": "FAILED"}, False, FINAL, "repository"),
        (failed("Rate limit exceeded. Try again in 60 seconds.\n", 429), False, FINAL, "rate_limit"),
        (failed("Invalid build token\n", 403), False, FINAL, "refused"),
        (failed("x", True), False, FINAL, "repository"),
        (failed("x", "500"), False, FINAL, "repository"),
        ({"phase": "failed", "message": ["not", "text"]}, False, FINAL, "repository"),
    ],
)
def test_whose_failure_it_is(event: dict[str, Any], built: bool, ending: Ending, cause: str) -> None:
    verdict = judge(event, built=built)
    assert verdict is not None and (verdict.ending, verdict.cause) == (ending, cause)


@pytest.mark.parametrize(
    "phase", ["waiting", "fetching", "building", "pushing", "unknown", "built", "launching"]
)
def test_other_phases_end_nothing(phase: str) -> None:
    assert judge({"phase": phase}, built=False) is None


@pytest.mark.parametrize("event", [{}, {"phase": None}, {"phase": 3}, {"message": "failed"}])
def test_events_without_a_phase_end_nothing(event: dict[str, Any]) -> None:
    assert judge(event, built=True) is None


def test_ready_needs_an_address_or_an_image() -> None:
    ready, built = judge(READY, built=True), judge({"phase": "ready", "imageName": "x"}, built=True)
    assert ready is not None and built is not None
    assert ready.ending is built.ending is Ending.READY
    empty = judge({"phase": "ready"}, built=True)
    assert empty is not None and empty.ending is RETRYABLE


@pytest.mark.parametrize("data", [b"", b"x", b"{", b"[1]", b'"text"', b"null", b"[" * 100_000, b"\xff"])
def test_what_is_no_object_is_garbled(data: bytes) -> None:
    with pytest.raises(Garbled):
        decode(data)


def test_a_lone_surrogate_from_a_build_log_is_an_event() -> None:
    assert decode(b'{"message": "\\udcff"}')["message"] == "\udcff"


def test_a_members_words_are_one_printable_line() -> None:
    verdict = judge(failed("two\nlines \x1b[31mred" + "x" * 9999), built=True)
    assert (
        verdict is not None
        and verdict.message.startswith("two lines [31mred")
        and len(verdict.message) <= 500
    )
