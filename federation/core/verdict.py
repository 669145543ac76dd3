"""A member's `/health` answer, judged check by check. Knows no connection.

The member's own summary is never believed over its checks: an `ok` above a failing check is not ok, and a
check that the member itself ignores does not make it ill. How full it is, is told apart from how it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from federation.core.model import Check, Operation, Seats
from federation.core.told import LONGEST_KEY, bounded, text

QUOTA_CHECK = "Pod quota"
# Without what a check stands for a member can still do the rest.
LOSES: Mapping[str, Operation] = MappingProxyType(
    {"Docker registry": Operation.BUILD, "JupyterHub API": Operation.LAUNCH}
)
_READABLE = (200, 503)  # BinderHub answers both with the same body
_MOST_CHECKS = 50
_NOT_DETAIL = ("service", "ok", "_ignore_failure")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one answer says. `reason` is empty when `ok`; `lost` is what an `ok` member cannot do nevertheless."""

    ok: bool
    reason: str = ""
    checks: tuple[Check, ...] = ()
    seats: Seats | None = None
    lost: frozenset[Operation] = frozenset()


def judge(status: int, body: bytes) -> Verdict:
    """The verdict on one answer of BinderHub's `/health`."""
    if status not in _READABLE:
        return Verdict(False, f"/health answered {status}")
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return Verdict(False, f"/health answered {status} without readable JSON")
    listed = told.get("checks") if isinstance(told, dict) else None
    if not isinstance(listed, list) or len(listed) > _MOST_CHECKS:
        return Verdict(False, f"/health answered {status} without a list of checks")
    checks = tuple(check for entry in listed if (check := _check(entry)) is not None)
    if len(checks) < len(listed):
        return Verdict(False, "/health has a check without service and ok", checks)
    seats = next((_seats(check) for check in checks if check.service == QUOTA_CHECK), None)
    failing = [check.service for check in checks if not check.ok and not check.ignored]
    if seats is not None and seats.quota is not None and QUOTA_CHECK in failing:
        failing.remove(QUOTA_CHECK)  # not ill, only full: its numbers tell
        if not failing:
            return Verdict(True, "", checks, seats)
    lost = frozenset(LOSES[service] for service in failing if service in LOSES)
    if failing and all(service in LOSES for service in failing) and lost < frozenset(Operation):
        return Verdict(True, "", checks, seats, lost)
    if failing:
        return Verdict(False, f"failing: {', '.join(failing)}", checks, seats)
    if status != 200 or (not checks and told.get("ok") is not True):
        return Verdict(False, f"/health answered {status} and names no failing check", checks, seats)
    return Verdict(True, "", checks, seats)


def _check(entry: Any) -> Check | None:
    if not isinstance(entry, dict):
        return None
    service, ok = entry.get("service"), entry.get("ok")
    if not isinstance(service, str) or not service.isprintable() or not service or not isinstance(ok, bool):
        return None
    figures = {
        key: value
        for key, value in entry.items()
        if key not in _NOT_DETAIL and (value is None or isinstance(value, bool | int | float))
    }
    detail = MappingProxyType(bounded(figures))
    return Check(text(service, LONGEST_KEY), ok, entry.get("_ignore_failure") is True, detail)


def _seats(check: Check) -> Seats | None:
    """Pods against the quota, as the check counts them: sessions and builds."""
    used = _number(check.detail, "total_pods")
    if used is None:
        used = _number(check.detail, "user_pods")
    return None if used is None else Seats(used, _number(check.detail, "quota"))


def _number(detail: Mapping[str, Any], name: str) -> int | None:
    value = detail.get(name)
    usable = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return int(value) if usable and value is not None else None
