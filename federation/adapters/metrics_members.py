"""What Prometheus is told of the members: one series a figure, made of one snapshot. Decides nothing and keeps nothing.

Made anew at every scrape, so a state is one-hot, a reason never lingers, and a member that was removed leaves no
series behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from federation.core.model import MemberView, Operation, State
from federation.core.routing import health_label
from federation.core.shares import actual, expected


def member_series(views: Sequence[MemberView], chosen: Mapping[str, int], now: float) -> Iterator[Metric]:
    """All series of these members. `chosen` counts how often each was lately, `now` is in seconds since the epoch."""
    yield from _states(views)
    yield from _operations(views)
    yield from _weights(views, chosen)
    yield from _sizes(views)
    yield from _signals(views, now)


def certificate_series(names: Sequence[str], ends: Mapping[str, float]) -> Iterator[Metric]:
    """When the certificates of these members end, in seconds since the epoch, as far as they have any."""
    family = GaugeMetricFamily(
        "federation_member_certificate_expiry_seconds",
        "When the certificate that it showed to the last probe ends.",
        labels=["member"],
    )
    for name in names:
        if name in ends:
            family.add_metric([name], ends[name])
    yield family


def _states(views: Sequence[MemberView]) -> Iterator[Metric]:
    health = GaugeMetricFamily(
        "federation_health", "1 if the member takes launches, else 0 and why.", labels=["member", "reason"]
    )
    checks = GaugeMetricFamily(
        "federation_health_check", "Checks of the member's last answer.", labels=["member", "check"]
    )
    states = GaugeMetricFamily(
        "federation_member_state", "1 for the member's present state.", labels=["member", "state"]
    )
    since = GaugeMetricFamily(
        "federation_member_state_since_seconds", "When it entered its state.", labels=["member"]
    )
    for view in views:
        name = view.member.name
        health.add_metric([name, health_label(view)], float(view.refusal is None))
        since.add_metric([name], view.since)
        for state in State:
            states.add_metric([name, state.value], float(view.state is state))
        for service, ok in {check.service: check.ok for check in view.checks}.items():
            checks.add_metric([name, service], float(ok))
    yield from (health, checks, states, since)


def _operations(views: Sequence[MemberView]) -> Iterator[Metric]:
    lost = GaugeMetricFamily(
        "federation_member_operation_lost", "1 for what it cannot do now.", labels=["member", "operation"]
    )
    for view in views:
        for operation in Operation:
            lost.add_metric([view.member.name, operation.value], float(operation in view.lost))
    yield lost


def _weights(views: Sequence[MemberView], chosen: Mapping[str, int]) -> Iterator[Metric]:
    weight = GaugeMetricFamily("federation_member_weight", "The operator's weight.", labels=["member"])
    effective = GaugeMetricFamily(
        "federation_member_effective_weight",
        "The weight after evidence, free seats and slow start; 0 without launches.",
        labels=["member"],
    )
    due = GaugeMetricFamily(
        "federation_member_expected_share", "Its share of launches by weight, of 1.", labels=["member"]
    )
    came = GaugeMetricFamily(
        "federation_member_actual_share",
        "Its share of the choices of the last ten minutes, of 1; absent without any.",
        labels=["member"],
    )
    for view in views:
        weight.add_metric([view.member.name], view.member.weight)
        effective.add_metric([view.member.name], view.weight if view.refusal is None else 0.0)
    for name, share in expected(views).items():
        due.add_metric([name], share)
    for name, share in (actual(chosen, [view.member.name for view in views]) or {}).items():
        came.add_metric([name], share)
    yield from (weight, effective, due, came)


def _sizes(views: Sequence[MemberView]) -> Iterator[Metric]:
    leases = GaugeMetricFamily("federation_member_leases", "Launches under way there.", labels=["member"])
    used = GaugeMetricFamily("federation_member_seats_used", "Sessions it told of.", labels=["member"])
    quota = GaugeMetricFamily("federation_member_seats", "Sessions it may run.", labels=["member"])
    capacity = GaugeMetricFamily(
        "federation_member_capacity", "Sessions it can hold, as far as is known.", labels=["member"]
    )
    free = GaugeMetricFamily("federation_member_seats_free", "Seats that are left.", labels=["member"])
    for view in views:
        name = [view.member.name]
        leases.add_metric(name, view.leases)
        if view.seats is not None:
            used.add_metric(name, view.seats.used)
            if view.seats.quota is not None:
                quota.add_metric(name, view.seats.quota)
        if view.capacity is not None and view.free is not None:
            capacity.add_metric(name, view.capacity)
            free.add_metric(name, view.free)
    yield from (leases, used, quota, capacity, free)


def _signals(views: Sequence[MemberView], now: float) -> Iterator[Metric]:
    age = GaugeMetricFamily(
        "federation_member_signal_age_seconds",
        "How old what is known of it is; `probe` is its last answer of any kind.",
        labels=["member", "signal"],
    )
    for view in views:
        measured = {name: signal.at for name, signal in view.signals.items()}
        if view.seen is not None:
            measured["probe"] = view.seen
        for name, at in measured.items():
            age.add_metric([view.member.name, name], max(0.0, now - at))
    yield age
