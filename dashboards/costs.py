"""Costs: what each member costs and gives, how that stands to its donors' cap, and what a launch costs there."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.board import board
from dashboards.panels import Column, Query, Row, figure, lines, ranking, row, sheet
from dashboards.queries import in_all, of_member

COST = of_member("federation_member_cost_month", "currency")
CAP = of_member("federation_member_cap", "currency")
FOR_A_LAUNCH = of_member("federation_member_cost_per_launch", "currency")
FOR_AN_HOUR = of_member("federation_member_cost_per_session_hour", "currency")
PACE = of_member("federation_member_pace")
# Months are those of UTC, as the front door counts them.
PART_OF_MONTH = "scalar((day_of_month() - 1 + hour() / 24 + minute() / 1440) / days_in_month())"
NO_FIGURES = "no member has figures of its costs"
NO_CAPS = "no member has a cap"
SPENT = [(None, "green"), (0.8, "orange"), (1, "red")]


def dashboard() -> Dashboard:
    return board(
        "federation-costs",
        "Costs",
        "What does each member cost this month, how does that stand to what its donors give, and what does it give?",
        [_month(), _members(), _given()],
        since="now-30d",
        refresh="5m",
    )


def _month() -> Row:
    return row(
        "This month",
        figure(
            "Cost so far",
            "Of all members with figures, since the month began, in the currency of the configuration. Exports"
            " come late: until they do, it is estimated.",
            Query(f"sum by (currency) ({COST})", "{{currency}}"),
            span=6,
            decimals=2,
            named=True,
            empty=NO_FIGURES,
        ),
        figure(
            "Given a month",
            "The caps of all members together.",
            Query(f"sum by (currency) ({CAP})", "{{currency}}"),
            span=6,
            decimals=2,
            named=True,
            empty=NO_CAPS,
        ),
        figure(
            "At this pace by the month's end",
            "Cost so far, divided by the part of the month that is over. On its first days a guess.",
            Query(f"sum by (currency) ({COST}) / {PART_OF_MONTH}", "{{currency}}"),
            span=6,
            decimals=2,
            named=True,
            empty=NO_FIGURES,
        ),
        figure(
            "Part of the month that is over",
            "What a member may have spent by now, if it spends evenly.",
            Query(f"vector(1) * {PART_OF_MONTH}", "over"),
            span=6,
            unit="percentunit",
            decimals=1,
        ),
    )


def _members() -> Row:
    return row(
        "Money",
        ranking(
            "Of its cap",
            "Cost so far, of what its donors give. Far ahead of the part of the month that is over: pacing"
            " should be lowering its weight, beside this.",
            Query(f"{COST} / {CAP}", "{{member}}"),
            unit="percentunit",
            most=1,
            steps=SPENT,
            empty=NO_CAPS,
        ),
        lines(
            "Left of the weight by the budget",
            "The factor on the weight of a member with a cap. It changes in small steps; at the cap 2 % are"
            " left. docs/costs.md tells the law.",
            Query(PACE, "{{member}}"),
            unit="percentunit",
            most=1,
            empty="no member is paced",
        ),
        lines(
            "Cost this month",
            "Solid: so far; it begins anew with each month. Dashed: the cap.",
            Query(COST, "{{member}} ({{currency}})"),
            Query(CAP, "{{member}} cap", dashed=True),
            empty=NO_FIGURES,
        ),
        sheet(
            "Members",
            "This month's cost, and what a launch and an hour of a session come to there. A dear member is not"
            " a bad one: look whether its seats are used.",
            "member",
            Column("Cost", COST, decimals=2),
            Column("Cap", CAP, decimals=2),
            Column("By the month's end", f"{COST} / {PART_OF_MONTH}", decimals=2),
            Column("A launch", FOR_A_LAUNCH, decimals=4),
            Column("An hour of a session", FOR_AN_HOUR, decimals=4),
            span=12,
            empty=NO_FIGURES,
        ),
    )


def _given() -> Row:
    return row(
        "What members give",
        lines(
            "Cost of a launch",
            "This month's cost by this month's launches. High on the first days of a month, and where launches"
            " are few.",
            Query(FOR_A_LAUNCH, "{{member}} ({{currency}})"),
            empty="no launch, or no figure of costs, this month",
        ),
        lines(
            "Cost of an hour of a session",
            "This month's cost by the hours that sessions ran there.",
            Query(FOR_AN_HOUR, "{{member}} ({{currency}})"),
            empty="no session, or no figure of costs, this month",
        ),
        ranking(
            "Launches served",
            "In the time shown, by the donors' ledger: ready there, or handed over.",
            Query(
                f"{in_all('federation_member_launches_served_total', 'member')}"
                f" + {in_all('federation_member_launches_redirected_total', 'member')}",
                "{{member}}",
            ),
            span=8,
            empty="there is no ledger yet",
        ),
        ranking(
            "Hours of sessions",
            "In the time shown, by the donors' ledger.",
            Query(in_all("federation_member_session_hours_total", "member"), "{{member}}"),
            span=8,
            empty="there is no ledger yet",
        ),
        ranking(
            "Images built",
            "In the time shown, by the donors' ledger. Others launch them without building.",
            Query(in_all("federation_member_builds_served_total", "member"), "{{member}}"),
            span=8,
            empty="there is no ledger yet",
        ),
    )
