"""How launches are shared among members: as weights want it, and as it came. Knows no clock and no launch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from federation.core.model import MemberView


def expected(views: Iterable[MemberView]) -> dict[str, float]:
    """Each member's share of launches, of 1: its effective weight among those that take launches. All are 0
    when nobody does."""
    return _of_their_sum({view.member.name: view.weight if view.refusal is None else 0.0 for view in views})


def actual(counts: Mapping[str, int], names: Iterable[str]) -> dict[str, float] | None:
    """Each named member's share of the launches that these members were chosen for, of 1; None without any."""
    own = {name: float(counts.get(name, 0)) for name in names}
    return _of_their_sum(own) if any(own.values()) else None


def _of_their_sum(parts: Mapping[str, float]) -> dict[str, float]:
    total = sum(parts.values())
    return {name: part / total if total else 0.0 for name, part in parts.items()}
