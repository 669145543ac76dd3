from hypothesis import given
from hypothesis import strategies as st
from pytest import mark

from members.adapters.registry_challenge import Challenge, challenges


@mark.parametrize(
    ("header", "found"),
    [
        (
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://auth.docker.io/token",
                        "service": "registry.docker.io",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        ('bearer realm="https://x/t"', [("bearer", {"realm": "https://x/t"})]),
        (
            'BEARER  Realm = "https://x/t" , SERVICE = x',
            [("bearer", {"realm": "https://x/t", "service": "x"})],
        ),
        ('Basic realm="a \\"b\\", c"', [("basic", {"realm": 'a "b", c'})]),
        (
            'Basic realm="a", Bearer realm="b",service="c"',
            [("basic", {"realm": "a"}), ("bearer", {"realm": "b", "service": "c"})],
        ),
        ("Negotiate, Basic", [("negotiate", {}), ("basic", {})]),
        ('Negotiate abcd==, Bearer realm="b"', [("negotiate", {}), ("bearer", {"realm": "b"})]),
        (', ,Basic realm="x",,', [("basic", {"realm": "x"})]),
        ("", []),
        ('="', []),
        ('Bearer realm="https://x', [("bearer", {})]),
    ],
)
def test_what_is_wanted(header: str, found: list[tuple[str, dict[str, str]]]) -> None:
    assert list(challenges([header])) == [Challenge(scheme, parameters) for scheme, parameters in found]


def test_several_headers() -> None:
    schemes = [challenge.scheme for challenge in challenges(["Basic", 'Bearer realm="x"'])]
    assert schemes == ["basic", "bearer"]


@given(st.text(max_size=200))
def test_nothing_breaks_it(header: str) -> None:
    for challenge in challenges([header]):
        assert challenge.scheme == challenge.scheme.lower()
