from __future__ import annotations

import json
from typing import Any

import pytest
from contract_files import body
from hypothesis import given
from hypothesis import strategies as st

from federation.core.model import Operation, Seats
from federation.core.verdict import judge

HUB = {"service": "JupyterHub API", "ok": True}
REGISTRY = {"service": "Docker registry", "ok": True}
DISK = {"service": "Disk", "ok": False}  # of which nobody knows what it stands for


def quota(total: int, limit: int | None, ok: bool, **more: Any) -> dict[str, Any]:
    numbers = {"total_pods": total, "build_pods": 1, "user_pods": total - 1, "quota": limit}
    return {"service": "Pod quota", **numbers, "ok": ok, **more}


def told(*checks: dict[str, Any], ok: bool = True, status: int = 200) -> Any:
    return judge(status, json.dumps({"ok": ok, "checks": list(checks)}).encode())


def test_what_a_stock_member_answers() -> None:
    verdict = judge(200, body("health").encode())
    assert verdict.ok and [check.service for check in verdict.checks] == ["Docker registry", "JupyterHub API"]


@pytest.mark.parametrize(
    ("checks", "lost"),
    [
        ((REGISTRY, {**HUB, "ok": False}), Operation.LAUNCH),
        (({**REGISTRY, "ok": False}, HUB), Operation.BUILD),
        (({**REGISTRY, "ok": False}, HUB, quota(11, 10, False)), Operation.BUILD),
    ],
)
@pytest.mark.parametrize("status", [200, 503])
def test_a_503_is_read_check_by_check_and_one_service_less_is_not_the_end(
    checks: tuple[dict[str, Any], ...], lost: Operation, status: int
) -> None:
    verdict = told(*checks, ok=False, status=status)
    assert verdict.ok and verdict.lost == {lost} and not verdict.reason
    assert [check.ok for check in verdict.checks] == [check["ok"] for check in checks]


def test_a_member_that_can_do_nothing_more_is_ill() -> None:
    verdict = told({**REGISTRY, "ok": False}, {**HUB, "ok": False})
    assert not verdict.ok and verdict.reason == "failing: Docker registry, JupyterHub API"
    assert not verdict.lost
    verdict = told({**REGISTRY, "ok": False}, DISK)
    assert not verdict.ok and verdict.reason == "failing: Docker registry, Disk"


def test_the_summary_is_never_believed_over_the_checks() -> None:
    assert told(DISK, HUB, ok=True).reason == "failing: Disk"
    assert told(REGISTRY, HUB, ok=False).ok


def test_a_failing_check_after_the_quota_still_counts() -> None:
    assert told(quota(1, 10, True), DISK).reason == "failing: Disk"
    assert told(quota(1, 10, True), {**HUB, "ok": False}).lost == {Operation.LAUNCH}
    assert told(quota(11, 10, False), DISK).reason == "failing: Disk"


def test_what_the_member_ignores_is_told_and_does_not_count() -> None:
    verdict = told({"service": "Docs", "ok": False, "_ignore_failure": True}, HUB)
    assert verdict.ok and verdict.checks[0].ignored and not verdict.checks[0].ok


@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize("ignored", [True, False])
def test_a_full_member_is_not_ill(status: int, ignored: bool) -> None:
    more = {"_ignore_failure": True} if ignored else {}
    if status == 503 and ignored:
        return  # no member says so
    verdict = told(HUB, quota(301, 300, False, **more), status=status)
    assert verdict.ok and verdict.seats == Seats(301, 300)


def test_no_quota_is_no_limit() -> None:
    verdict = told(HUB, quota(7, None, True))
    assert verdict.ok and verdict.seats == Seats(7, None)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (404, b"{}", "answered 404"),
        (302, b"", "answered 302"),
        (500, b'{"ok": true, "checks": []}', "answered 500"),
        (200, b"<html>", "without readable JSON"),
        (200, b"\xff\xfe", "without readable JSON"),
        (200, b"[" * 100_000, "without readable JSON"),
        (200, b"[]", "without a list of checks"),
        (200, b'{"ok": true}', "without a list of checks"),
        (200, b'{"checks": {}}', "without a list of checks"),
        (200, b'{"checks": [1]}', "a check without service and ok"),
        (200, b'{"checks": [{"service": "x", "ok": "yes"}]}', "a check without service and ok"),
        (200, b'{"checks": [{"service": "x\\u001b[31m", "ok": true}]}', "a check without service and ok"),
        (200, b'{"ok": false, "checks": []}', "names no failing check"),
        (503, b'{"ok": false, "checks": [{"service": "x", "ok": true}]}', "names no failing check"),
        (200, b'{"checks": [{"service": "Pod quota", "ok": false, "quota": "300"}]}', "failing: Pod quota"),
    ],
)
def test_garbage_has_a_clear_reason(status: int, body: bytes, words: str) -> None:
    verdict = judge(status, body)
    assert not verdict.ok and words in verdict.reason


@given(st.sampled_from([200, 503]), st.binary(max_size=200))
def test_no_body_breaks_the_judge(status: int, body: bytes) -> None:
    verdict = judge(status, body)
    assert verdict.ok == (not verdict.reason)
