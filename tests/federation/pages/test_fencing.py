"""Every page says how far sessions are fenced off."""

from __future__ import annotations

import pytest

from federation.core.model import Member, MemberView
from federation.web.house import fencing


def view(name: str, info: object) -> MemberView:
    return MemberView(Member(name, f"http://{name}.example", 1), versions={"builder_info": info})


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            [{"isolation": "bubblewrap"}, {"isolation": "bubblewrap"}],
            "Each session runs in a bubblewrap sandbox",
        ),
        ([{"isolation": "bubblewrap"}, {"isolation": "none"}], "Sessions on m1 run without a sandbox"),
        ([{"isolation": "none"}, {"isolation": "none"}], "Sessions on m0 and m1 run without a sandbox"),
        ([{"build_image": "quay.io/x"}], ""),
        (["garbage"], ""),
        ([], ""),
    ],
)
def test_the_least_fenced_member_has_the_word(told: list[object], said: str) -> None:
    sentence = fencing([view(f"m{number}", info) for number, info in enumerate(told)])
    assert sentence.startswith(said)
    assert bool(sentence) == bool(said)


async def test_the_sentence_stands_on_every_page(front_door, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("federation.web.house.fencing", lambda _: "Fenced <off>.")
    for path in ("/", "/status", "/v2/gh/u/r/HEAD"):
        assert "Fenced &lt;off&gt;." in await (await front_door.get(path)).text()
