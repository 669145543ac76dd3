"""Facts as Prometheus metrics under BinderHub's names (BINDER-PROTOCOL §9). Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

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
        self._builds = Counter(
            "binderhub_build_count",
            "Counter of builds by repo",
            ["status", "provider", "repo"],
            registry=registry,
        )
        self._launches = Counter(
            "binderhub_launch_count",
            "Counter of launches by repo",
            ["status", "provider", "repo"],
            registry=registry,
        )
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
                self._launches.labels(fact.status, self._name(fact.provider), fact.repo_url).inc()
            case ImageFetched():
                self._fetches.observe(fact.seconds)
            case RateLimit():
                self._rate_limit.set(fact.remaining)

    def render(self, accept: str) -> tuple[bytes, str]:
        """The body of `/metrics` and its content type, in the newest format that the reader accepts."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _build_ended(self, fact: BuildEnded) -> None:
        self._building.dec()
        if fact.status != "cancelled":
            self._build_time.labels(fact.status).observe(fact.seconds)
            self._builds.labels(fact.status, self._name(fact.provider), fact.repo_url).inc()

    def _launch_ended(self, fact: LaunchEnded) -> None:
        """An abandoned launch says nothing about this member, a full one took no time: neither is timed."""
        self._launching.dec()
        if fact.status == "abandoned":
            return
        self._launches.labels(fact.status, self._name(fact.provider), fact.repo_url).inc()
        if fact.status == "success":
            self._launch_time.labels("success", str(fact.attempt)).observe(fact.seconds)
        elif fact.status == "failure":
            self._launch_time.labels("failure", "-1").observe(fact.seconds)

    def _name(self, provider: str) -> str:
        return self._provider_names.get(provider, provider)
