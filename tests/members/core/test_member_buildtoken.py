from pytest import mark

from members.core.buildtoken import Standing, claims, origin_of, standing

SPEC = "gh/user/repo/HEAD"
TOLD = claims(SPEC, "front.example", 1000.0, 300)


@mark.parametrize(
    ("header", "host", "origin"),
    [
        (None, "Front.example:8080", "front.example:8080"),
        ("https://Front.example", "member.example", "front.example"),
        ("http://127.0.0.1:8585", "member.example", "127.0.0.1:8585"),
        ("null", "member.example", None),
        ("", "member.example", None),
        ("http://[::1", "member.example", None),
    ],
)
def test_the_origin_header_wins_over_the_host(header: str | None, host: str, origin: str | None) -> None:
    assert origin_of(header, host) == origin


def test_claims_are_binderhubs() -> None:
    assert TOLD == {"exp": 1300, "aud": SPEC, "origin": "front.example"}


def test_a_token_holds_until_it_expires() -> None:
    assert standing(TOLD, SPEC, "front.example", 1299.9, check_origin=True) is Standing.HOLDS
    assert standing(TOLD, SPEC, "front.example", 1300.0, check_origin=True) is Standing.REFUSED


@mark.parametrize("spec", ["gh/user/repo/main", "gh/user/repo/HEAD/", "gh/User/repo/HEAD", "", "gh"])
def test_a_token_is_for_one_spec(spec: str) -> None:
    assert standing(TOLD, spec, "front.example", 1000, check_origin=True) is Standing.REFUSED


def test_a_token_is_for_one_site_unless_nobody_asks() -> None:
    assert standing(TOLD, SPEC, "evil.example", 1000, check_origin=True) is Standing.REFUSED
    assert standing(TOLD, SPEC, "evil.example", 1000, check_origin=False) is Standing.HOLDS


def test_an_origin_that_names_no_site_neither_helps_nor_harms() -> None:
    assert standing(TOLD, SPEC, None, 1000, check_origin=True) is Standing.WORTHLESS
    assert standing(TOLD, SPEC, None, 1000, check_origin=False) is Standing.HOLDS
    assert standing(TOLD, SPEC, None, 1300, check_origin=True) is Standing.REFUSED


@mark.parametrize("expires", [None, True, "9999999999", float("nan"), [9999999999]])
def test_odd_expiries_are_refused(expires: object) -> None:
    told = TOLD | {"exp": expires}
    assert standing(told, SPEC, "front.example", 1000, check_origin=True) is Standing.REFUSED


@mark.parametrize("told", [None, {}, {"exp": 1300}, TOLD | {"aud": [SPEC]}, TOLD | {"origin": None}])
def test_odd_claims_are_refused(told: dict[str, object] | None) -> None:
    assert standing(told, SPEC, "front.example", 1000, check_origin=True) is Standing.REFUSED
