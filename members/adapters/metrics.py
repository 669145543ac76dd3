"""Facts as Prometheus metrics under BinderHub's names (BINDER-PROTOCOL §9). Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from members.adapters.repo_counter import RepoCounter
from members.core.facts import (
    BuildEnded,
    BuildStarted,
    Fact,
    ImageFetched,
    LaunchEnded,
    LaunchRetried,
    LaunchStarted,
    QuotaHit,
    RateLimit,
)

_BUILD_BUCKETS = (60, 120, 300, 600, 1800, 3600, 7200, float("inf"))
_LAUNCH_BUCKETS = (2, 5, 10, 20, 30, 60, 120, 300, 600, float("inf"))
_FETCH_BUCKETS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, float("inf"))
_LOOP_BUCKETS = (
    0.025, 0.03, 0.035, 0.04, 0.045, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, float("inf"),
)  # fmt: skip
_END = b"# EOF\n"  # of OpenMetrics


class Metrics:
    """A listener with a registry of its own. `provider_names` turns ids in facts into the label's value."""

    def __init__(self, provider_names: Mapping[str, str]) -> None:
        self._provider_names = provider_names
        self.registry = registry = CollectorRegistry()
        GCCollector(registry)
        PlatformCollector(registry)
        ProcessCollector(registry=registry)
        self._build_time = Histogram(
            "binderhub_build_time_seconds",
            "Histogram of build times",
            ["status"],
            buckets=_BUILD_BUCKETS,
            registry=registry,
        )
        self._launch_time = Histogram(
            "binderhub_launch_time_seconds",
            "Histogram of launch times",
            ["status", "retries"],
            buckets=_LAUNCH_BUCKETS,
            registry=registry,
        )
        self._builds = RepoCounter("binderhub_build_count", "Counter of builds by repo")
        self._launches = RepoCounter("binderhub_launch_count", "Counter of launches by repo")
        self._building = Gauge(
            "binderhub_inprogress_builds", "Builds currently in progress", registry=registry
        )
        self._launching = Gauge(
            "binderhub_inprogress_launches", "Launches currently in progress", registry=registry
        )
        self._rate_limit = Gauge(
            "binderhub_github_rate_limit_remaining", "GitHub rate limit remaining", registry=registry
        )
        self._fetches = Histogram(
            "binder_member_image_fetch_seconds",
            "Images brought from the common store to this member instead of being built here",
            buckets=_FETCH_BUCKETS,
            registry=registry,
        )
        self._loop = Histogram(
            "jupyterhub_event_loop_interval_seconds",
            "Interval between ticks of the event loop, which are 20 ms apart when it is idle",
            buckets=_LOOP_BUCKETS,
            registry=registry,
        )

    def listen(self, fact: Fact) -> None:
        match fact:
            case BuildStarted():
                self._building.inc()
            case BuildEnded():
                self._build_ended(fact)
            case LaunchStarted():
                self._launching.inc()
            case LaunchRetried():
                self._launch_time.labels("retry", "-1").observe(fact.seconds)
            case LaunchEnded():
                self._launch_ended(fact)
            case QuotaHit():
                self._launches.inc(fact.status, self._name(fact.provider), fact.repo_url)
            case ImageFetched():
                self._fetches.observe(fact.seconds)
            case RateLimit():
                self._rate_limit.set(fact.remaining)

    def render(self, accept: str) -> tuple[bytes, str]:
        """The body of `/metrics` and its content type, in the newest format that the reader accepts."""
        encode, content_type = choose_encoder(accept)
        body = encode(self.registry)
        counters = (self._builds, self._launches)
        if body.endswith(_END):
            told = "".join(line for counter in counters for line in counter.open_metrics())
            return body.removesuffix(_END) + told.encode() + _END, content_type
        return body + "".join(line for counter in counters for line in counter.plain()).encode(), content_type

    def loop_interval(self, seconds: float) -> None:
        """One interval between two ticks of the event loop."""
        self._loop.observe(seconds)

    def _build_ended(self, fact: BuildEnded) -> None:
        self._building.dec()
        if fact.status != "cancelled":
            self._build_time.labels(fact.status).observe(fact.seconds)
            self._builds.inc(fact.status, self._name(fact.provider), fact.repo_url)

    def _launch_ended(self, fact: LaunchEnded) -> None:
        """An abandoned launch says nothing about this member, a full one took no time: neither is timed."""
        self._launching.dec()
        if fact.status == "abandoned":
            return
        self._launches.inc(fact.status, self._name(fact.provider), fact.repo_url)
        if fact.status == "success":
            self._launch_time.labels("success", str(fact.attempt)).observe(fact.seconds)
        elif fact.status == "failure":
            self._launch_time.labels("failure", "-1").observe(fact.seconds)

    def _name(self, provider: str) -> str:
        return self._provider_names.get(provider, provider)
