from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import pytest

from federation.core.model import Launch
from federation.service.joining import Joining

ONE = Launch("gh", "a/b/HEAD", "gh/a/b")
OTHER = replace(ONE, spec="a/b/main")


def test_a_version_is_joined_where_most_launches_of_it_wait_and_another_version_is_not() -> None:
    joining = Joining()
    with joining.under_way(ONE, "a"), joining.under_way(ONE, "b"), joining.under_way(ONE, "b"):
        assert joining.members(ONE) == ("b", "a")
        assert joining.members(OTHER) == ()
    assert joining.members(ONE) == ()


def test_a_launch_past_the_build_is_not_joined_and_counts_off_once() -> None:
    joining = Joining()
    with ExitStack() as stack:
        first = stack.enter_context(joining.under_way(ONE, "a"))
        stack.enter_context(joining.under_way(ONE, "a"))
        first()
        first()
        assert joining.members(ONE) == ("a",)
    assert joining.members(ONE) == ()


def test_a_launch_that_breaks_off_counts_off() -> None:
    joining = Joining()
    with pytest.raises(OSError), joining.under_way(ONE, "a"):
        raise OSError
    assert joining.members(ONE) == ()
