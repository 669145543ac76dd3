"""SLO and error budget: whether the promise is kept, and how fast what may fail is being used up.

It shows what the recording rules of `prometheus/rules/` keep: alerts and boards speak of the same figures.
"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.board import board
from dashboards.panels import Column, Query, Row, figure, lines, row, sheet
from dashboards.queries import MEMBER, OR_NONE, a_minute, in_all

OBJECTIVE = "federation:slo_objective:ratio"
ALLOWED = f"(1 - scalar(max({OBJECTIVE})))"
VERDICTS = "federation_slo_launches_total"
NO_RULES = "the rules are not loaded"
NONE_COUNTED = "no launch counted in this window, or the rules are not loaded"
BURNING = [(None, "text"), (1, "yellow"), (6, "orange"), (14.4, "red")]


def dashboard() -> Dashboard:
    return board(
        "federation-slo",
        "SLO and error budget",
        "Is the promise kept, that launches do not fail by the federation's own fault, and how fast is what may"
        " fail being used up? Needs the rules of dashboards/prometheus/rules.",
        [_now(), _burning(), _where(), _time()],
        since="now-7d",
        refresh="1m",
    )


def _now() -> Row:
    return row(
        "Now",
        figure(
            "The promise",
            "The share of launches that must not fail by the federation's own fault. It is set in the recording"
            " rules.",
            Query(f"max({OBJECTIVE})", "promised"),
            unit="percentunit",
            decimals=2,
            empty=NO_RULES,
        ),
        figure(
            "Kept over 30 days",
            "The share that did not fail so. Below the promise: what may fail is used up.",
            Query("1 - federation:slo_errors:ratio30d", "kept"),
            unit="percentunit",
            decimals=3,
            empty=NONE_COUNTED,
        ),
        figure(
            "Error budget left",
            "Of what may fail in 30 days. Below 0: no risky change until it is positive again.",
            Query("federation:slo_budget_left:ratio30d", "left"),
            unit="percentunit",
            decimals=1,
            empty=NONE_COUNTED,
            steps=[(None, "red"), (0, "orange"), (0.25, "green")],
        ),
        figure(
            "Burn rate of the last hour",
            "1 uses the budget up in just 30 days, 14.4 in two. From 14.4 on somebody is paged.",
            Query(_burn("1h"), "times"),
            decimals=1,
            empty=NONE_COUNTED,
            steps=[(None, "green"), *BURNING[1:]],
        ),
        figure(
            "Launches that count",
            "Good and bad ones in the time shown.",
            Query(in_all(VERDICTS, selector=f'verdict=~"good|bad",{OR_NONE}'), "launches"),
            decimals=0,
            empty="none",
        ),
        figure(
            "Bad launches",
            "That failed by the federation's own fault in the time shown.",
            Query(in_all(VERDICTS, selector=f'verdict="bad",{OR_NONE}'), "bad"),
            decimals=0,
            empty="none",
            steps=[(None, "green"), (1, "orange")],
        ),
    )


def _burning() -> Row:
    windows = ("5m", "30m", "1h", "6h", "3d")
    return row(
        "How fast",
        lines(
            "Burn rates",
            "How many times faster than allowed the budget is used, over windows of several lengths. A long"
            " window above a line, and a short one too: it is happening now. The alerts stand on the same"
            " figures.",
            *(Query(_burn(window), window) for window in windows),
            span=24,
            empty=NONE_COUNTED,
            steps=BURNING,
        ),
        lines(
            "Share of launches that failed by our fault",
            "Dashed: what is allowed.",
            *(Query(f"federation:slo_errors:ratio{window}", window) for window in ("5m", "1h", "1d")),
            Query(f"vector(1) * {ALLOWED}", "allowed", dashed=True),
            unit="percentunit",
            empty=NONE_COUNTED,
        ),
        lines(
            "Error budget left over time",
            "Over 30 days, of 1. A steep fall has a time: look for the marks of state changes and alerts above it.",
            Query("federation:slo_budget_left:ratio30d", "left"),
            unit="percentunit",
            most=1,
            empty=NONE_COUNTED,
        ),
    )


def _where() -> Row:
    return row(
        "Where",
        lines(
            "Launches before the promise",
            "A minute. Not ours: a broken repository, or a visitor who left; they count neither way.",
            Query(a_minute(VERDICTS, "verdict", OR_NONE), "{{verdict}}"),
            unit="cpm",
            stacked=True,
            empty="no launch ended in this time",
        ),
        lines(
            "Failed by our fault, by member",
            "The share of the last hour, by the member that ended them.",
            Query(f"member:slo_errors:ratio1h{{{MEMBER}}}", "{{member}}"),
            unit="percentunit",
            empty=NONE_COUNTED,
        ),
        lines(
            "Failed launches by cause",
            "A minute, the repositories' own included: user causes are no use of the budget.",
            Query(a_minute("federation_launches_total", "cause", f'outcome="failed",{OR_NONE}'), "{{cause}}"),
            unit="cpm",
            stacked=True,
            empty="no launch failed in this time",
        ),
        sheet(
            "Alerts",
            "Pending and firing now. docs/alerts.md says of each what to do.",
            "alertname",
            Column(
                "Since it became true",
                "time() - max by (alertname, member, severity) (ALERTS_FOR_STATE)",
                "s",
            ),
            span=12,
            empty="no alert is pending or firing",
        ),
    )


def _time() -> Row:
    return row(
        "Time",
        lines(
            "Time to ready",
            "As visitors see it, over the last five minutes each.",
            Query("federation:launch_ready_seconds:p50_5m", "half"),
            Query("federation:launch_ready_seconds:p95_5m", "95 %"),
            unit="s",
            empty=NONE_COUNTED,
        ),
        lines(
            "Share that waited for over a minute",
            "Of the launches of the last quarter of an hour. Quota and capacity tells which seats are missing.",
            Query("federation:launches_waited:ratio15m", "waited"),
            unit="percentunit",
            empty=NONE_COUNTED,
        ),
    )


def _burn(window: str) -> str:
    """How many times faster than allowed the budget is used up (B. Beyer et al., The Site Reliability Workbook, 2018,
    chapter 5)."""
    return f"federation:slo_errors:ratio{window} / {ALLOWED}"
