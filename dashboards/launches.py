"""Launches and builds: where visitors' time goes, and what the federation's choices save."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.board import board
from dashboards.panels import Query, Row, figure, heat, lines, ranking, row
from dashboards.queries import MEMBER, OR_NONE, a_minute, in_all, quantile, share

LAUNCHES = "federation_launches_total"
ATTEMPTS = "federation_attempts_total"
IMAGES = "federation_launch_images_total"
READY = "federation_launch_ready_seconds"
BUILD = "binderhub_build_time_seconds"
UNREAD = "no member's own metrics are read"
NONE_READY = "no launch was ready in this time"


def dashboard() -> Dashboard:
    return board(
        "federation-launches",
        "Launches and builds",
        "Where does the time of a launch go, how do launches find their member, and how many builds does that save?",
        [_in_all(), _time(), _attempts(), _choice(), _builds()],
    )


def _in_all() -> Row:
    return row(
        "In the time shown",
        figure(
            "Launches",
            "That ended, however they ended.",
            Query(in_all(LAUNCHES, selector=OR_NONE), "launches"),
            decimals=0,
            empty="none ended",
        ),
        figure(
            "Attempts for each launch",
            "1 is best: the first member did it. 1.2 means that every fifth launch needed a second one.",
            Query(
                share(
                    in_all(ATTEMPTS),
                    in_all(LAUNCHES, selector=f'outcome!="redirected",{OR_NONE}'),
                ),
                "attempts",
            ),
            decimals=2,
            empty="none ended",
            steps=[(None, "green"), (1.2, "orange"), (1.5, "red")],
        ),
        figure(
            "Builds saved",
            "Of the launches that were ready, the share that needed no build of its own: the image was found,"
            " or a build that ran already was joined.",
            Query(
                share(in_all(IMAGES, selector=f'source=~"found|joined",{MEMBER}'), in_all(IMAGES)), "saved"
            ),
            unit="percentunit",
            decimals=1,
            empty=NONE_READY,
        ),
        figure(
            "Builds that worked",
            "Of the members' builds. Most that fail are their repositories' own fault; a sudden drop is a"
            " builder's, a registry's or a package index's.",
            Query(
                share(
                    in_all(f"{BUILD}_count", selector=f'status="success",{MEMBER}'), in_all(f"{BUILD}_count")
                ),
                "worked",
            ),
            unit="percentunit",
            decimals=1,
            empty="nothing was built, or no member is read",
        ),
        figure(
            "Builds in progress",
            "On all members together.",
            Query(f"sum(binderhub_inprogress_builds{{{MEMBER}}})", "builds"),
            empty=UNREAD,
        ),
        figure(
            "Launches in progress",
            "On all members together, as their BinderHubs count them.",
            Query(f"sum(binderhub_inprogress_launches{{{MEMBER}}})", "launches"),
            empty=UNREAD,
        ),
    )


def _time() -> Row:
    return row(
        "Time",
        heat(
            "Time to ready",
            "How many launches became ready within each span, from the click. Two bands are images that were"
            " there and images that were built; a new band above is a fault.",
            Query(f"sum by (le) (increase({READY}_bucket{{{MEMBER}}}[$__rate_interval]))", "{{le}}"),
            empty=NONE_READY,
        ),
        lines(
            "Time to ready by member, 95 %",
            "One member far above the others is slow, or gets the images that nobody has.",
            Query(quantile(0.95, READY, "member"), "{{member}}"),
            unit="s",
            empty=NONE_READY,
        ),
        lines(
            "Phases, half of the launches within",
            "Where the time goes: waiting for a builder, building, pushing, launching.",
            Query(quantile(0.5, "federation_phase_seconds", "phase"), "{{phase}}"),
            unit="s",
            empty=NONE_READY,
        ),
    )


def _attempts() -> Row:
    return row(
        "Attempts",
        lines(
            "Launches by how they ended",
            "A minute, for the visitor, over all attempts.",
            Query(a_minute(LAUNCHES, "outcome", OR_NONE), "{{outcome}}"),
            unit="cpm",
            stacked=True,
            empty="none ended",
        ),
        lines(
            "Attempts by how they ended",
            "A minute, on one member each. Lost ones were finished elsewhere.",
            Query(a_minute(ATTEMPTS, "outcome"), "{{outcome}}"),
            unit="cpm",
            stacked=True,
            empty="none ended",
        ),
        lines(
            "Lost attempts by cause",
            "A minute. One cause on many members is something they share: a registry, a git host, a network.",
            Query(a_minute("federation_failovers_total", "cause"), "{{cause}}"),
            unit="cpm",
            stacked=True,
            empty="none was lost",
        ),
        lines(
            "Launches that stood still",
            "A minute, by member and phase. Each had another member started beside it.",
            Query(a_minute("federation_overdue_total", "member, phase"), "{{member}}: {{phase}}"),
            unit="cpm",
            stacked=True,
            empty="none stood still",
        ),
    )


def _choice() -> Row:
    return row(
        "Choice",
        lines(
            "Why members were chosen",
            "A minute. Policy: the first in the policy's order, which is the repository's own member. Spilled:"
            " that one was busy. Holder and builder: the image was there or on its way. Last resort and"
            " nobody: no member was fit.",
            Query(a_minute("federation_decisions_total", "why", ""), "{{why}}"),
            unit="cpm",
            stacked=True,
        ),
        lines(
            "Place in the policy's order",
            "A minute, of the chosen member. Many beyond the first place: members are full or out, and images"
            " get built again.",
            Query(a_minute("federation_decisions_total", "place", 'place!=""'), "{{place}}"),
            unit="cpm",
            stacked=True,
        ),
    )


def _builds() -> Row:
    return row(
        "Images and builds",
        lines(
            "Where images came from",
            "A minute, of launches that were ready: found, joined to a build that ran already, or built for them.",
            Query(a_minute(IMAGES, "source"), "{{source}}"),
            unit="cpm",
            stacked=True,
            empty=NONE_READY,
        ),
        lines(
            "Builds by how they ended",
            "A minute, on all members.",
            Query(a_minute(f"{BUILD}_count", "status"), "{{status}}"),
            unit="cpm",
            stacked=True,
            empty="nothing was built, or no member is read",
        ),
        lines(
            "Time to build",
            "Of the builds that worked.",
            Query(quantile(0.5, BUILD, selector=f'status="success",{MEMBER}'), "half"),
            Query(quantile(0.95, BUILD, selector=f'status="success",{MEMBER}'), "95 %"),
            unit="s",
            empty="nothing was built, or no member is read",
        ),
        ranking(
            "Most launched repositories",
            "Since each member's process began, as the members count them. `increase` would miss the first"
            " launch of each.",
            Query(
                f'topk(10, sum by (repo) (binderhub_launch_count_total{{status="success",{MEMBER}}}))',
                "{{repo}}",
            ),
            empty=UNREAD,
        ),
    )
