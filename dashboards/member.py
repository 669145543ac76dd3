"""One member: how it stands, why, and what launches, seats and its own metrics say of it."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.board import board
from dashboards.panels import Column, Query, Row, figure, lines, row, sheet, states
from dashboards.queries import (
    MEMBER,
    STATE,
    STATE_WORDS,
    YES_NO,
    a_minute,
    in_all,
    of_member,
    quantile,
    share,
)

ATTEMPTS = "federation_attempts_total"
UNREAD = "the member's own metrics are not read"
LOST_WORDS = {0: ("can", "green"), 1: ("cannot", "red")}
CHECK_WORDS = {1: ("passes", "green"), 0: ("fails", "red")}


def dashboard() -> Dashboard:
    return board(
        "federation-member",
        "One member",
        "How does this member stand, why, and what do its launches, its seats and its own metrics say?",
        [_now(), _standing(), _choice(), _launches(), _seats(), _own()],
        single=True,
    )


def _now() -> Row:
    return row(
        "Now",
        figure(
            "State",
            "Where it stands in the front door's eyes. docs/health.md says what leads from one state to another.",
            Query(STATE, "state"),
            unit="none",
            words=STATE_WORDS,
        ),
        figure(
            "Its launches that worked",
            "Of the attempts that ended on it in the time shown, the share that was not lost to another member."
            " This is what it is judged by; far below 90 %: see what it lost them to, below.",
            Query(
                share(
                    in_all(ATTEMPTS, selector=f'outcome="ready",{MEMBER}'),
                    in_all(ATTEMPTS, selector=f'outcome=~"ready|lost",{MEMBER}'),
                ),
                "worked",
            ),
            unit="percentunit",
            decimals=1,
            empty="no launch ended on it",
            steps=[(None, "red"), (0.9, "orange"), (0.98, "green")],
        ),
        figure(
            "95 % ready within",
            "From the click to a running server, of the launches that this member finished in the time shown.",
            Query(quantile(0.95, "federation_launch_ready_seconds", window="$__range"), "95 %"),
            unit="s",
            empty="no launch was ready on it",
        ),
        figure(
            "Free seats",
            "Sessions that still fit, as far as is known. None left: launches go elsewhere, which is no illness.",
            Query(of_member("federation_member_seats_free"), "free"),
            empty="no limit is known",
            steps=[(None, "red"), (1, "orange"), (5, "green")],
        ),
        figure(
            "Certificate ends in",
            "What is left of the certificate that it showed to the last probe. Under two weeks: its renewal"
            " does not work.",
            Query(f"{of_member('federation_member_certificate_expiry_seconds')} - time()", "left"),
            unit="s",
            empty="it is reached without TLS",
            steps=[(None, "red"), (7 * 86400, "orange"), (14 * 86400, "green")],
        ),
        figure(
            "Set by an operator",
            "What stands in place of the configuration: a weight, a drain. `binder-federation audit` tells who"
            " set it and why.",
            Query(of_member("federation_member_overridden", "what"), "{{what}}"),
            unit="none",
            named=True,
            empty="nothing was ever set",
            words={0: ("as configured", "text"), 1: ("set", "blue")},
        ),
    )


def _standing() -> Row:
    return row(
        "How it stands",
        states(
            "State over time",
            "Where it stood. The marks through all panels are its changes of state, and alerts.",
            Query(STATE, "{{member}}"),
            STATE_WORDS,
            height=5,
        ),
        states(
            "Its own checks",
            "What its /health says of each part. A check that fails while launches work is not what ejects it;"
            " launches that fail while all checks pass are.",
            Query(of_member("federation_health_check", "check"), "{{check}}"),
            CHECK_WORDS,
            span=12,
            empty="it has not answered a probe yet",
        ),
        states(
            "What it can do",
            "A member that cannot build still takes launches whose image is there; one that cannot launch takes"
            " none.",
            Query(of_member("federation_member_operation_lost", "operation"), "{{operation}}"),
            LOST_WORDS,
            span=6,
        ),
        sheet(
            "Takes launches, or why not",
            "The reason that the front door gives now. It is the member's state in a sentence.",
            "reason",
            Column(
                "Takes launches", f"max by (reason) (federation_health{{{MEMBER}}})", "none", words=YES_NO
            ),
            span=6,
        ),
    )


def _choice() -> Row:
    return row(
        "How many launches it gets",
        lines(
            "Weight",
            "Dashed: what the operator wishes. Solid: what is left of it after evidence, free seats and slow"
            " start; 0 while it takes no launches.",
            Query(of_member("federation_member_effective_weight"), "effective"),
            Query(of_member("federation_member_weight"), "wished", dashed=True),
        ),
        lines(
            "Expected and actual share",
            "Dashed: the share of launches by weight. Solid: what it had in the last ten minutes. Far apart for"
            " long: `binder-federation explain` says why launches go elsewhere.",
            Query(of_member("federation_member_actual_share"), "actual"),
            Query(of_member("federation_member_expected_share"), "expected", dashed=True),
            unit="percentunit",
            most=1,
        ),
    )


def _launches() -> Row:
    return row(
        "Launches on it",
        lines(
            "Attempts by how they ended here",
            "A minute. Lost: another member had to go on. Failed: the repository's own fault, or nobody was left.",
            Query(a_minute(ATTEMPTS, "outcome"), "{{outcome}}"),
            unit="cpm",
            stacked=True,
            empty="no launch ended on it",
        ),
        lines(
            "Lost launches by cause",
            "A minute. The cause leads to the part that is ill; docs/health.md lists what each one means.",
            Query(a_minute("federation_failovers_total", "cause"), "{{cause}}"),
            unit="cpm",
            stacked=True,
            empty="it lost none",
        ),
        lines(
            "Time to ready",
            "Of the launches that it finished, from the visitor's click.",
            Query(quantile(0.5, "federation_launch_ready_seconds"), "half"),
            Query(quantile(0.95, "federation_launch_ready_seconds"), "95 %"),
            unit="s",
            empty="no launch was ready on it",
        ),
        lines(
            "Phases, 95 %",
            "How long each phase took here. Building long: many cold images. Launching long: slow pulls, or a"
            " slow hub.",
            Query(quantile(0.95, "federation_phase_seconds", "phase"), "{{phase}}"),
            unit="s",
            empty="no launch came through a phase here",
        ),
        lines(
            "Launches that stood still",
            "A minute, by the phase they stood in for longer than launches do here; another member was started"
            " beside each.",
            Query(a_minute("federation_overdue_total", "phase"), "{{phase}}"),
            unit="cpm",
            stacked=True,
            empty="none stood still",
        ),
        lines(
            "Launches of our own",
            "A minute, by their end: how a member is tried that visitors do not come to.",
            Query(a_minute("federation_canaries_total", "outcome"), "{{outcome}}"),
            unit="cpm",
            stacked=True,
            empty="none was made",
        ),
    )


def _seats() -> Row:
    return row(
        "Seats and signals",
        lines(
            "Seats",
            "Sessions it told of, launches on their way there, and (dashed) what it can hold as far as was learned.",
            Query(of_member("federation_member_seats_used"), "sessions"),
            Query(of_member("federation_member_leases"), "launches under way"),
            Query(of_member("federation_member_capacity"), "capacity", dashed=True),
            empty="it tells of no seats",
        ),
        lines(
            "Age of what is known",
            "How old each figure is. What is older than the dashed line counts as not known; a probe that ages"
            " means that the member does not answer.",
            Query(of_member("federation_member_signal_age_seconds", "signal"), "{{signal}}"),
            Query("max(federation_signal_max_age_seconds)", "counts as none", dashed=True),
            unit="s",
        ),
    )


def _own() -> Row:
    launch = "binderhub_launch_time_seconds"
    of_it = f"on (instance, job) group_left () binderhub_inprogress_launches{{{MEMBER}}} * 0"
    return row(
        "Its BinderHub",
        lines(
            "Launches and builds in progress",
            "As its BinderHub counts them, whoever sent them. Builds that only grow: its builder does not come"
            " along.",
            Query(f"sum(binderhub_inprogress_launches{{{MEMBER}}})", "launches"),
            Query(f"sum(binderhub_inprogress_builds{{{MEMBER}}})", "builds"),
            empty=UNREAD,
        ),
        lines(
            "Launches by status",
            "A minute, as its BinderHub counts them. Retry is an attempt of a launch that goes on.",
            Query(a_minute(f"{launch}_count", "status"), "{{status}}"),
            unit="cpm",
            stacked=True,
            empty=UNREAD,
        ),
        lines(
            "Time to start a server",
            "Of its BinderHub's successful launches: the image is there, its hub works.",
            Query(quantile(0.5, launch, selector=f'status="success",{MEMBER}'), "half"),
            Query(quantile(0.95, launch, selector=f'status="success",{MEMBER}'), "95 %"),
            unit="s",
            empty=UNREAD,
        ),
        lines(
            "Time to build",
            "Of its BinderHub's builds, by how they ended.",
            Query(quantile(0.5, "binderhub_build_time_seconds", "status"), "half, {{status}}"),
            Query(quantile(0.95, "binderhub_build_time_seconds", "status"), "95 %, {{status}}"),
            unit="s",
            empty="it built nothing, or is not read",
        ),
        lines(
            "Event loop",
            "Time between two ticks that are 20 ms apart when idle, 95 %. Above 0.1 s it answers everybody late.",
            Query(quantile(0.95, "jupyterhub_event_loop_interval_seconds"), "95 %"),
            unit="s",
            steps=[(None, "text"), (0.1, "red")],
            empty=UNREAD,
        ),
        lines(
            "Memory of its process",
            "Of the process that its metrics come from. One that only grows will be ended by the system one day.",
            Query(f"process_resident_memory_bytes + {of_it}", "{{instance}}"),
            unit="bytes",
            empty=UNREAD,
        ),
    )
