"""PromQL that several boards share. Knows metrics by name (docs/metrics.md), and no panel.

Rates are taken over Grafana's `$__rate_interval`, sums over the time that is shown, `$__range`.
"""

from __future__ import annotations

from collections.abc import Mapping

MEMBER = 'member=~"$member"'
"""Of these members; `All` is `.+`, so that what has no member is not among them."""
OR_NONE = 'member=~"$member|"'
"""Of these members, and of none: a launch that no member took."""

STATES: Mapping[str, tuple[int, str]] = {
    "healthy": (1, "green"),
    "recovering": (2, "light-green"),
    "trial": (3, "purple"),
    "degraded": (4, "yellow"),
    "drained": (5, "blue"),
    "ejected": (6, "red"),
    "unknown": (0, "text"),
}
"""The figure that stands for a state in a panel, and its colour."""

STATE_WORDS = {figure: (state, colour) for state, (figure, colour) in STATES.items()}
YES_NO = {1: ("yes", "green"), 0: ("no", "red")}

# One figure a member: of its one-hot states all but the present one are 0 times something.
STATE = "sum by (member) ({})".format(
    " or ".join(
        f'federation_member_state{{state="{state}",{MEMBER}}} * {figure}'
        for state, (figure, _) in STATES.items()
    )
)


def a_minute(counter: str, by: str = "", selector: str = MEMBER) -> str:
    """How many a minute, by these labels."""
    return f"{_sum(by)} (rate({counter}{{{selector}}}[$__rate_interval])) * 60"


def in_all(counter: str, by: str = "", selector: str = MEMBER) -> str:
    """How many in the time that is shown, by these labels."""
    return f"{_sum(by)} (increase({counter}{{{selector}}}[$__range]))"


def share(part: str, whole: str) -> str:
    """A part of a whole; nothing while the whole is nothing, since 0 of 0 is no share."""
    return f"{part} / ({whole} > 0)"


def quantile(
    of: float, histogram: str, by: str = "", selector: str = MEMBER, window: str = "$__rate_interval"
) -> str:
    """The time that this share of the histogram's events took at most, by these labels."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({of}, sum by ({labels}) (rate({histogram}_bucket{{{selector}}}[{window}])))"


def success(selector: str, by: str = "") -> str:
    """Launches that were good, of those that were good or the federation's own failure."""
    good, both = (f'verdict=~"{verdicts}",{selector}' for verdicts in ("good", "good|bad"))
    counter = "federation_slo_launches_total"
    return share(in_all(counter, by, good), in_all(counter, by, both))


def at_least_0(figure: str) -> str:
    """The figure, or 0 where a front door is read and tells of none. Without a front door it stays unknown."""
    return f"{figure} or 0 * max(federation_build_info)"


def of_front_door(series: str) -> str:
    """The series of a process that is a front door, whatever the scrape configuration calls it."""
    return f"{series} and on (instance, job) federation_build_info"


def of_member(gauge: str, more: str = "") -> str:
    """One figure of each member, whichever of several front doors tells it."""
    return f"max by (member{more and ', ' + more}) ({gauge}{{{MEMBER}}})"


def _sum(by: str) -> str:
    return f"sum by ({by})" if by else "sum"
