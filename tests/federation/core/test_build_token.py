from __future__ import annotations

import pytest

from federation.core.buildtoken import claims, holds, origin_of

SPEC = "gh/user/repo/HEAD"
TOLD = claims(SPEC, "Front.example", 1000.0, 300)


def test_claims_are_binderhubs() -> None:
    assert TOLD == {"exp": 1300, "aud": SPEC, "origin": "front.example"}


@pytest.mark.parametrize(
    ("spec", "origin", "now", "good"),
    [
        (SPEC, "front.example", 1299.0, True),
        (SPEC, "FRONT.example", 1000.0, True),
        (SPEC, "front.example", 1300.0, False),
        (SPEC, "evil.example", 1000.0, False),
        (SPEC, "", 1000.0, False),
        ("gh/user/repo/main", "front.example", 1000.0, False),
    ],
)
def test_a_token_is_for_one_spec_one_site_and_a_while(spec: str, origin: str, now: float, good: bool) -> None:
    assert holds(TOLD, spec, origin, now) is good


@pytest.mark.parametrize("expires", [None, True, "9999", [9999], float("nan")])
def test_odd_expiries_do_not_hold(expires: object) -> None:
    assert not holds({**TOLD, "exp": expires}, SPEC, "front.example", 1000.0)


@pytest.mark.parametrize(
    ("header", "origin"),
    [(None, "host:1"), ("https://A.example:8", "a.example:8"), ("null", ""), ("", ""), ("http://[::1", "")],
)
def test_origin(header: str | None, origin: str) -> None:
    assert origin_of(header, "Host:1") == origin
