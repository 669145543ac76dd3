import re
from pathlib import Path

from members.adapters.metrics import Metrics
from members.core.facts import (
    BuildEnded,
    BuildStarted,
    ImageFetched,
    LaunchEnded,
    LaunchRetried,
    LaunchStarted,
    LaunchStatus,
    QuotaHit,
    RateLimit,
    Trouble,
)

RECORDED = Path(__file__).parents[1] / "recorded" / "metrics.txt"
REPO = "git://127.0.0.1:9418/req.git"
ABOUT = ("git", REPO, "image:1")


def full() -> Metrics:
    """After one of everything."""
    metrics = Metrics({"git": "Git"})
    statuses: tuple[LaunchStatus, ...] = ("success", "failure", "pod_quota", "repo_quota", "abandoned")
    for status in statuses:
        metrics.listen(LaunchStarted(*ABOUT))
        metrics.listen(LaunchEnded(*ABOUT, status, 0, 3.0))
    metrics.listen(LaunchRetried("image:1", 0, 4.0, "no"))
    for outcome in ("success", "failure", "cancelled"):
        metrics.listen(BuildStarted(*ABOUT))
        metrics.listen(BuildEnded(*ABOUT, outcome, 61.0))  # type: ignore[arg-type]
    metrics.listen(QuotaHit("git", REPO, "pod_quota"))
    metrics.listen(ImageFetched("image:1", 0.7))
    metrics.listen(RateLimit(42))
    metrics.listen(Trouble("x", RuntimeError()))
    return metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def series(text: str) -> set[tuple[str, tuple[str, ...], str]]:
    """Name, label names and bucket of every BinderHub series in an exposition."""
    found = set()
    for line in text.splitlines():
        match = re.match(r"(binderhub_\w+?)(?:\{(.*)\})? ", line)
        if match and not match[1].endswith("_created"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
            found.add((match[1], tuple(sorted(labels)), labels.get("le", "")))
    return found


def test_every_recorded_series_is_there_with_its_labels_and_buckets() -> None:
    body, content_type = full().render("")
    assert content_type.startswith("text/plain")
    assert series(RECORDED.read_text()) == series(body.decode())


def test_builds_and_launches_are_counted_by_repository() -> None:
    metrics = full()
    labels = {"provider": "Git", "repo": REPO}
    for status, count in [("success", 1), ("failure", 1), ("pod_quota", 2), ("repo_quota", 1)]:
        assert value(metrics, "binderhub_launch_count_total", status=status, **labels) == count
    assert value(metrics, "binderhub_launch_count_total", status="abandoned", **labels) is None
    assert value(metrics, "binderhub_build_count_total", status="success", **labels) == 1
    assert value(metrics, "binderhub_build_count_total", status="failure", **labels) == 1
    assert value(metrics, "binderhub_build_count_total", status="cancelled", **labels) is None


def test_retries_are_labelled_as_upstream_does() -> None:
    metrics = full()
    for status, retries in [("success", "0"), ("failure", "-1"), ("retry", "-1")]:
        assert value(metrics, "binderhub_launch_time_seconds_count", status=status, retries=retries) == 1


def test_nothing_is_in_progress_when_all_has_ended() -> None:
    metrics = full()
    assert value(metrics, "binderhub_inprogress_builds") == 0
    assert value(metrics, "binderhub_inprogress_launches") == 0
    metrics.listen(BuildStarted(*ABOUT))
    metrics.listen(LaunchStarted(*ABOUT))
    assert value(metrics, "binderhub_inprogress_builds") == 1
    assert value(metrics, "binderhub_inprogress_launches") == 1


def test_a_fetch_is_told_from_a_build() -> None:
    metrics = Metrics({"git": "Git"})
    metrics.listen(ImageFetched("image:1", 0.7))
    assert value(metrics, "binder_member_image_fetch_seconds_count") == 1
    assert b"binderhub_build_count_total{" not in metrics.render("")[0]


def test_the_reader_chooses_the_format() -> None:
    assert "openmetrics" in full().render("application/openmetrics-text; version=1.0.0")[1]
