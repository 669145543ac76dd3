from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core.quorum import FEWEST, outliers


def told(*versions: str | None, key: str = "binderhub") -> dict[str, dict[str, str | None]]:
    return {name: {key: version} for name, version in zip("abcdef", versions, strict=False)}


@pytest.mark.parametrize(
    ("versions", "strange"),
    [
        (("1", "1", "1"), ""),
        (("1", "1", "2"), "c"),
        (("2", "1", "1"), "a"),
        (("1", "2"), ""),  # two that differ have no majority
        (("1", "2", "3"), ""),
        (("1", "1", "2", "2"), ""),  # a rollout half done
        (("1", "1", "1", "2"), "d"),
        (("1", "1", "2", "3", None), ""),  # two of four are no majority
        (("1", "1", "1", "2", "3"), "de"),
        (("1", None, "2"), ""),
        (("1", "1", None), ""),
    ],
)
@pytest.mark.parametrize("key", ["binderhub", "builder"])
def test_a_majority_is_the_reference(versions: tuple[str | None, ...], strange: str, key: str) -> None:
    assert "".join(outliers(told(*versions, key=key))) == strange


def test_the_difference_is_told_in_words_once() -> None:
    members = {name: {"binderhub": "1.0", "builder": "2023.1"} for name in "ab"}
    members["c"] = {"binderhub": "0.9", "builder": "2022.7"}
    assert outliers(members) == {"c": "runs binderhub 0.9, most members run 1.0"}


def test_other_keys_and_what_is_no_text_do_no_harm() -> None:
    assert outliers({name: {"python": name} for name in "abc"}) == {}
    strange = outliers({"a": {"builder": {"x": 1}}, "b": {"builder": {"x": 1}}, "c": {"builder": [2]}})
    assert list(strange) == ["c"]


@given(st.dictionaries(st.text(max_size=3), st.sampled_from(["1", "2", "3", None]), max_size=9))
def test_outliers_are_always_a_minority_of_those_who_tell(versions: dict[str, str | None]) -> None:
    strange = outliers({name: {"binderhub": version} for name, version in versions.items()})
    known = [version for version in versions.values() if version is not None]
    assert not strange or 2 * len(strange) < len(known) >= FEWEST
    usual = Counter(known).most_common(1)
    for name in strange:
        assert versions[name] not in (None, usual[0][0])
