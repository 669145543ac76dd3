"""Federation overview: does it work for visitors now, and if not, which member is it."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.board import board
from dashboards.panels import Column, Query, Row, figure, lines, row, sheet, states
from dashboards.queries import (
    MEMBER,
    OR_NONE,
    STATE,
    STATE_WORDS,
    a_minute,
    at_least_0,
    of_member,
    quantile,
    success,
)

READY = "federation_launch_ready_seconds"
LAUNCHES = "federation_launches_total"
NONE_ENDED = "no launch ended in this time"
BLIND_WORDS = {0: ("its members", "green"), 1: ("nothing: it is blind", "red")}


def dashboard() -> Dashboard:
    return board(
        "federation-overview",
        "Federation overview",
        "Does the federation work for its visitors, and which member is it if it does not?",
        [_now(), _members(), _visitors()],
    )


def _now() -> Row:
    return row(
        "Now",
        figure(
            "Launches that worked",
            "Of the launches that ended in the time shown, the share that did not fail by the federation's"
            " fault. A broken repository or a visitor who left does not count. Below 99 %: look for the member"
            " in the rows below.",
            Query(success(OR_NONE), "worked"),
            unit="percentunit",
            decimals=2,
            empty=NONE_ENDED,
            steps=[(None, "red"), (0.95, "orange"), (0.99, "green")],
        ),
        figure(
            "Members that take launches",
            "How many take launches now, of those in the configuration. One that does not has its reason in One"
            " member.",
            Query(f"sum(federation_health{{{MEMBER}}})", "take launches"),
            Query(f"count(federation_health{{{MEMBER}}})", "configured"),
            empty="no front door is read",
            steps=[(None, "red"), (1, "text")],
        ),
        figure(
            "Time to ready",
            "From the click to a running server as visitors see it, waiting and failed attempts included, in"
            " the time shown. Where it goes stands in Launches and builds.",
            Query(quantile(0.5, READY, window="$__range"), "half"),
            Query(quantile(0.95, READY, window="$__range"), "95 %"),
            unit="s",
            empty=NONE_ENDED,
        ),
        figure(
            "Waiting for a seat",
            "Launches in the waiting room now. Above 0 for long: the federation is full. Quota and capacity"
            " tells where seats are missing.",
            Query("sum(federation_waiting_launches)", "waiting"),
            empty="no front door is read",
            steps=[(None, "green"), (1, "orange"), (20, "red")],
        ),
        figure(
            "The router sees",
            "Blind: all members seemed to fail at once, so the router doubts itself and keeps the last good"
            " view. Look at its own network first.",
            Query("max(federation_blind)", "sees"),
            unit="none",
            empty="no front door is read",
            words=BLIND_WORDS,
        ),
        figure(
            "Open incidents",
            "Incidents that the front door opened and nobody closed; /status and `binder-federation incidents`"
            " tell of each.",
            Query(at_least_0("sum(federation_open_incidents)"), "open"),
            empty="no front door is read",
            steps=[(None, "green"), (1, "red")],
        ),
    )


def _members() -> Row:
    return row(
        "Members",
        states(
            "State",
            "Where each member stood. Ejected: its launches or its probes failed. Trial and recovering: it"
            " comes back. Drained: an operator's wish. A click on a line leads to that member.",
            Query(STATE, "{{member}}"),
            STATE_WORDS,
            empty="no front door is read",
        ),
        sheet(
            "Members now",
            "What the router knows of each member now. Expected and actual share far apart, or no free seat, is"
            " where to look first.",
            "member",
            Column("State", STATE, "none", words=STATE_WORDS),
            Column("Worked", success(MEMBER, "member"), "percentunit", 1),
            Column("95 % ready within", quantile(0.95, READY, "member", window="$__range"), "s"),
            Column("Expected share", of_member("federation_member_expected_share"), "percentunit", 1),
            Column("Actual share", of_member("federation_member_actual_share"), "percentunit", 1),
            Column("Weight", of_member("federation_member_weight")),
            Column("Effective weight", of_member("federation_member_effective_weight")),
            Column("Sessions", of_member("federation_member_seats_used")),
            Column("Free seats", of_member("federation_member_seats_free")),
            Column("Launches under way", of_member("federation_member_leases")),
            empty="no front door is read",
        ),
        lines(
            "Expected and actual share",
            "Solid: the share of launches that a member had in the last ten minutes. Dashed: what its weight"
            " lets expect. Affinity alone makes them differ a little; a third expected and nothing got is a"
            " fault.",
            Query(of_member("federation_member_actual_share"), "{{member}}"),
            Query(of_member("federation_member_expected_share"), "{{member}} expected", dashed=True),
            unit="percentunit",
            most=1,
        ),
        lines(
            "Launches sent to members",
            "Launches a minute by member, further attempts included. A member that gets none though it takes"
            " launches: ask `binder-federation explain` why.",
            Query(a_minute("federation_redirect_count", "member"), "{{member}}"),
            unit="cpm",
            stacked=True,
        ),
    )


def _visitors() -> Row:
    return row(
        "Visitors",
        lines(
            "Launches by how they ended",
            "A minute. Ready is good, redirected was handed over, abandoned is a visitor who left. A growing"
            " part of failed: see the causes beside it.",
            Query(a_minute(LAUNCHES, "outcome", OR_NONE), "{{outcome}}"),
            unit="cpm",
            stacked=True,
            empty=NONE_ENDED,
        ),
        lines(
            "Failed launches by cause",
            "What visitors were told had failed, a minute. A build that failed is mostly its repository's;"
            " anything else is worth a look into docs/health.md.",
            Query(a_minute(LAUNCHES, "cause", f'outcome="failed",{OR_NONE}'), "{{cause}}"),
            unit="cpm",
            stacked=True,
            empty="no launch failed in this time",
        ),
        lines(
            "Time to ready over time",
            "From the click to a running server, over all members and attempts.",
            Query(quantile(0.5, READY), "half"),
            Query(quantile(0.95, READY), "95 %"),
            Query(quantile(0.99, READY), "99 %"),
            unit="s",
            empty=NONE_ENDED,
        ),
        lines(
            "Launches that members lost to others",
            "Failovers a minute: visitors noticed nothing but a wait. One member far above the others is ill.",
            Query(a_minute("federation_failovers_total", "member, cause"), "{{member}}: {{cause}}"),
            unit="cpm",
            stacked=True,
            empty="no launch was lost in this time",
        ),
    )
