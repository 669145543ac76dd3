"""Quota and capacity: how full the federation is, where seats are missing, and who waits for one."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.board import board
from dashboards.panels import Query, Row, figure, lines, ranking, row
from dashboards.queries import MEMBER, a_minute, in_all, of_member, quantile, share

USED, CAPACITY = of_member("federation_member_seats_used"), of_member("federation_member_capacity")
FREE, LEASES = of_member("federation_member_seats_free"), of_member("federation_member_leases")
UNKNOWN = "no limit is known of any member"
REFUSED = "federation_waiting_refused_total"
NOBODY_WAITED = "nobody waited"
FULL = [(None, "green"), (0.8, "orange"), (0.95, "red")]


def dashboard() -> Dashboard:
    return board(
        "federation-capacity",
        "Quota and capacity",
        "How full is the federation, where are seats missing, and how long do launches wait for one?",
        [_now(), _seats(), _waiting(), _limits()],
    )


def _now() -> Row:
    return row(
        "Now",
        figure(
            "Full",
            "Sessions and launches on their way, of all seats that are known. Above 95 % launches begin to wait.",
            Query(f"1 - sum({FREE}) / sum({CAPACITY})", "full"),
            unit="percentunit",
            decimals=1,
            empty=UNKNOWN,
            steps=FULL,
        ),
        figure(
            "Free seats",
            "On all members together, those that take no launches included.",
            Query(f"sum({FREE})", "free"),
            empty=UNKNOWN,
            steps=[(None, "red"), (1, "orange"), (20, "green")],
        ),
        figure(
            "Free where launches go",
            "Seats of the members that take launches now. Far below all free seats: the room is on a member"
            " that is out.",
            Query(f"sum({FREE} and on (member) (federation_health{{{MEMBER}}} == 1))", "free"),
            empty="no member takes launches",
            steps=[(None, "red"), (1, "orange"), (20, "green")],
        ),
        figure(
            "Waiting now",
            "Launches in the waiting room, and how many may be in it.",
            Query("sum(federation_waiting_launches)", "wait"),
            Query("sum(federation_waiting_places)", "places"),
            empty="no front door is read",
        ),
        figure(
            "Longest wait now",
            "Of the launch that came first of those that wait. Minutes: add seats, or raise a quota.",
            Query("max(federation_waiting_longest_seconds)", "waits"),
            unit="s",
            empty="no front door is read",
            steps=[(None, "green"), (60, "orange"), (300, "red")],
        ),
        figure(
            "Turned away",
            "Launches in the time shown that ended in the waiting room: it was full, or they had waited too long.",
            Query(in_all(REFUSED, selector=""), "turned away"),
            decimals=0,
            empty="no front door is read",
            steps=[(None, "green"), (1, "red")],
        ),
    )


def _seats() -> Row:
    return row(
        "Seats",
        lines(
            "Sessions by member, and all seats",
            "Sessions that members told of, each and all together. Dashed: what all of them can hold. Where the"
            " two meet, launches wait.",
            Query(USED, "{{member}}"),
            Query(f"sum({USED})", "all sessions"),
            Query(f"sum({CAPACITY})", "all seats", dashed=True),
            empty=UNKNOWN,
        ),
        lines(
            "Free seats by member",
            "A member at 0 is passed over; all at 0 is what the waiting room is for.",
            Query(FREE, "{{member}}"),
            empty=UNKNOWN,
        ),
        ranking(
            "How full each member is",
            "Sessions and launches on their way, of what it can hold. One at 100 % beside empty ones: its"
            " weight is too high for its size.",
            Query(f"1 - {FREE} / {CAPACITY}", "{{member}}"),
            unit="percentunit",
            most=1,
            steps=FULL,
            empty=UNKNOWN,
        ),
        lines(
            "Launches on their way",
            "Leases: launches that were sent to a member and that its own numbers may not show yet.",
            Query(LEASES, "{{member}}"),
            stacked=True,
        ),
    )


def _waiting() -> Row:
    return row(
        "Waiting room",
        lines(
            "Launches that wait",
            "Dashed: how many may. Steady above 0: more launches come than sessions end.",
            Query("sum(federation_waiting_launches)", "wait"),
            Query("sum(federation_waiting_places)", "places", dashed=True),
            empty="no front door is read",
        ),
        lines(
            "How long they waited",
            "Of the launches that were in the room, by how they ended.",
            Query(quantile(0.5, "federation_waited_seconds", "outcome", ""), "half, {{outcome}}"),
            Query(quantile(0.95, "federation_waited_seconds", "outcome", ""), "95 %, {{outcome}}"),
            unit="s",
            empty=NOBODY_WAITED,
        ),
        lines(
            "Share of launches that had to wait",
            "Of those that ended. Above a few per cent for hours: the federation is too small for its visitors.",
            Query(
                share(
                    "sum(rate(federation_waited_seconds_count[$__rate_interval]))",
                    'sum(rate(federation_launches_total{outcome!="redirected"}[$__rate_interval]))',
                ),
                "waited",
            ),
            unit="percentunit",
            empty=NOBODY_WAITED,
        ),
        lines(
            "Turned away, by cause",
            "A minute. room_full: more places only help if seats come free; waited_too_long: seats are missing.",
            Query(a_minute(REFUSED, "cause", ""), "{{cause}}"),
            unit="cpm",
            stacked=True,
            empty="no front door is read",
        ),
    )


def _limits() -> Row:
    return row(
        "Limits",
        lines(
            "Seats told, and seats learned",
            "Dashed: the quota that a member tells of. Solid: what it could really hold. Solid below dashed: it"
            " refuses before its quota is used, such as for want of nodes.",
            Query(CAPACITY, "{{member}}"),
            Query(of_member("federation_member_seats"), "{{member}} quota", dashed=True),
            empty=UNKNOWN,
        ),
        lines(
            "GitHub requests left",
            "Of each member's rate limit, as GitHub last told. At 0 no branch can be resolved there: give the"
            " member a token.",
            Query(f"min by (member) (binderhub_github_rate_limit_remaining{{{MEMBER}}})", "{{member}}"),
            empty="no member's own metrics are read",
            steps=[(None, "text"), (100, "text")],
        ),
    )
