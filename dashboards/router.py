"""Router internals: what the front door sees, decides and needs for itself."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.board import board
from dashboards.panels import Column, Query, Row, figure, lines, row, sheet, states
from dashboards.queries import MEMBER, YES_NO, a_minute, at_least_0, of_front_door, of_member

NOT_READ = "no front door is read"
BLIND_WORDS = {0: ("sees", "green"), 1: ("blind", "red")}
REFUSED_WORDS = {0: ("in force", "green"), 1: ("refused", "red")}
UP_WORDS = {1: ("read", "green"), 0: ("does not answer", "red")}


def dashboard() -> Dashboard:
    return board(
        "federation-router",
        "Router internals",
        "What does the front door see, what does it decide, and is it well itself?",
        [_now(), _sight(), _choice(), _steering(), _process()],
    )


def _now() -> Row:
    return row(
        "Now",
        sheet(
            "Front doors",
            "Each process that is read, and what it runs. Two versions at once for long: a rollout that stands"
            " still.",
            "version",
            Column("Processes", "count by (version) (federation_build_info)"),
            span=4,
            height=4,
            empty=NOT_READ,
        ),
        figure(
            "Sight",
            "Blind: all members seemed to fail at once, so the last good view is kept. It is rather the"
            " router's own network.",
            Query("max(federation_blind)", "sight"),
            unit="none",
            empty=NOT_READ,
            words=BLIND_WORDS,
        ),
        figure(
            "Configuration file",
            "Refused: the file that lies there has a mistake, and the one before it is in force."
            " `binder-federation check-config` names the mistake.",
            Query("max(federation_configuration_refused)", "the file"),
            unit="none",
            empty=NOT_READ,
            words=REFUSED_WORDS,
        ),
        figure(
            "Workers",
            "Processes that serve visitors, and how many are wanted. Fewer for long: look into the front door's log.",
            Query('sum(federation_workers{state="serving"})', "serving"),
            Query('sum(federation_workers{state="wanted"})', "wanted"),
            empty=NOT_READ,
        ),
        figure(
            "Runs since",
            "The youngest front door's start. Shorter than you know of: it was ended and started again.",
            Query(f"time() - max({of_front_door('process_start_time_seconds')})", "runs"),
            unit="s",
            decimals=0,
            empty=NOT_READ,
        ),
        figure(
            "Own faults",
            "Errors in loops that went on nevertheless, in the time shown, files that could not be written"
            " among them. Each stands in the log.",
            Query(at_least_0("sum(increase(federation_loop_faults_total[$__range]))"), "faults"),
            decimals=0,
            steps=[(None, "green"), (1, "red")],
        ),
    )


def _sight() -> Row:
    return row(
        "What it sees",
        lines(
            "Oldest figure of each kind",
            "The age of what is known of the member that is worst off. Above the dashed line a signal counts as"
            " none: ask Prometheus itself whether it still reads that member.",
            Query(f"max by (signal) (federation_member_signal_age_seconds{{{MEMBER}}})", "{{signal}}"),
            Query("max(federation_signal_max_age_seconds)", "counts as none", dashed=True),
            unit="s",
            empty="nothing is known of any member",
        ),
        states(
            "Blind",
            "When the router doubted itself. Decisions of that time stand on the last good view.",
            Query("max by (instance) (federation_blind)", "{{instance}}"),
            BLIND_WORDS,
            span=12,
            empty=NOT_READ,
        ),
        states(
            "Members' metrics",
            "Whether Prometheus could read each member's own metrics. The front door's signals of a member that"
            " is not read grow old, and then count as none.",
            Query('max by (member) (up{member!="",' + MEMBER + "})", "{{member}}"),
            UP_WORDS,
            span=12,
            empty="no member is read under a label `member`",
        ),
        lines(
            "Time to tell the metrics",
            "How long a read of the front door's metrics took. It grows with the members; seconds are too much.",
            Query(of_front_door("scrape_duration_seconds"), "{{instance}}"),
            unit="s",
            empty=NOT_READ,
        ),
    )


def _choice() -> Row:
    return row(
        "What it decides",
        lines(
            "Decisions",
            "A minute, by why the member was chosen. Nobody and last resort should be rare.",
            Query(a_minute("federation_decisions_total", "why", ""), "{{why}}"),
            unit="cpm",
            stacked=True,
        ),
        lines(
            "Further attempts",
            "A minute. Withheld: the retry budget was spent, so launches ended that another member might have"
            " finished; an illness that all members share must not be doubled by retries.",
            Query(a_minute("federation_retries_total", "result", ""), "{{result}}"),
            unit="cpm",
            stacked=True,
        ),
        lines(
            "Sent to members, by reason",
            "A minute, under upstream's words. Asked: the link named the member.",
            Query(a_minute("federation_redirect_count", "reason"), "{{reason}}"),
            unit="cpm",
            stacked=True,
        ),
        lines(
            "Effective weight",
            "What routing works with, after evidence, seats and slow start. A line that jumps up and down moves"
            " keys to and fro: find out what makes it.",
            Query(of_member("federation_member_effective_weight"), "{{member}}"),
        ),
    )


def _steering() -> Row:
    return row(
        "What people set",
        states(
            "Operators' words in force",
            "Where an operator's word stands in place of the configuration. One that nobody remembers wants an end.",
            Query(of_member("federation_member_overridden", "what"), "{{member}}: {{what}}"),
            {0: ("as configured", "text"), 1: ("set", "blue")},
            span=12,
            empty="nothing was ever set",
        ),
        lines(
            "Changes",
            "Since each front door's start. Ended: a word that had an end came to it.",
            Query("sum by (what) (federation_audit_changes_total{" + MEMBER + "})", "{{what}}"),
            span=6,
            empty="nothing was ever changed",
        ),
        lines(
            "Configurations read",
            "Since each front door's start.",
            Query("sum by (result) (federation_configurations_total)", "{{result}}"),
            span=6,
            empty=NOT_READ,
        ),
        lines(
            "Open incidents",
            "By kind. /status tells the public, `binder-federation incidents` tells you.",
            Query(at_least_0("sum by (kind) (federation_open_incidents)"), "{{kind}}"),
            span=12,
            empty=NOT_READ,
        ),
        sheet(
            "Takes launches",
            "Every member with the reason that the front door gives now.",
            "member",
            Column(
                "Takes launches",
                f"max by (member, reason) (federation_health{{{MEMBER}}})",
                "none",
                words=YES_NO,
            ),
            span=12,
            empty=NOT_READ,
        ),
    )


def _process() -> Row:
    return row(
        "Its process",
        lines(
            "Processor",
            "Of one core. One process uses one: near 1, more `--workers` are due.",
            Query(of_front_door("rate(process_cpu_seconds_total[$__rate_interval])"), "{{instance}}"),
            unit="percentunit",
            empty=NOT_READ,
            steps=[(None, "text"), (0.9, "red")],
        ),
        lines(
            "Memory",
            "Resident. It follows the number of open streams; one that only grows is a leak worth an issue.",
            Query(of_front_door("process_resident_memory_bytes"), "{{instance}}"),
            unit="bytes",
            empty=NOT_READ,
        ),
        lines(
            "Open files",
            "Connections are files. Dashed: how many the process may open; at that line visitors are refused.",
            Query(of_front_door("process_open_fds"), "{{instance}}"),
            Query(of_front_door("process_max_fds"), "{{instance}} at most", dashed=True),
            empty=NOT_READ,
        ),
        lines(
            "Garbage collections",
            "A second, by generation.",
            Query(
                of_front_door(
                    "sum by (instance, job, generation) (rate(python_gc_collections_total[$__rate_interval]))"
                ),
                "{{instance}}: {{generation}}",
            ),
            unit="ops",
            empty=NOT_READ,
        ),
    )
