import re
import time
from collections.abc import Callable

from contract_files import FOLDER, STOCK
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from pytest import mark

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
    """The sample in what readers get."""
    for family in text_string_to_metric_families(metrics.render("")[0].decode()):
        for sample in family.samples:
            if (sample.name, sample.labels) == (name, labels):
                return sample.value
    return None


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
    assert series((FOLDER / STOCK / "metrics.txt").read_text()) == series(body.decode())


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


OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


@mark.parametrize("repo", ['a "b"\\ c', "line\nbreak", "https://host/é", "x} 5"])
def test_odd_repositories_are_read_back_as_they_are(repo: str) -> None:
    metrics = Metrics({"git": "Git"})
    metrics.listen(QuotaHit("git", repo, "pod_quota"))
    for families in (
        text_string_to_metric_families(metrics.render("")[0].decode()),
        openmetrics.text_string_to_metric_families(metrics.render(OPEN_METRICS)[0].decode()),
    ):
        samples = [sample for family in families for sample in family.samples]
        (launch,) = [one for one in samples if one.name == "binderhub_launch_count_total"]
        assert (launch.labels["repo"], launch.value) == (repo, 1)


def test_the_event_loop_is_watched_in_jupyterhubs_buckets() -> None:
    metrics = full()
    metrics.loop_interval(0.03)
    name = "jupyterhub_event_loop_interval_seconds"
    buckets = [
        sample.labels["le"]
        for family in text_string_to_metric_families(metrics.render("")[0].decode())
        if family.name == name
        for sample in family.samples
        if sample.name == f"{name}_bucket"
    ]
    expected = [0.025, 0.03, 0.035, 0.04, 0.045, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
    assert [float(le) for le in buckets] == [*expected, float("inf")]
    assert value(metrics, f"{name}_count") == 1


def test_thousands_of_repositories_stay_cheap() -> None:
    """Against the library's own counter of as many series, so that a slow machine does not matter."""
    metrics, registry = Metrics({"git": "Git"}), CollectorRegistry()
    theirs = Counter("theirs", "By repo", ["status", "provider", "repo"], registry=registry)
    for number in range(5000):
        repo = f"https://github.com/some-organisation/repository-{number}"
        for status in ("pod_quota", "repo_quota"):
            metrics.listen(QuotaHit("git", repo, status))  # type: ignore[arg-type]
            theirs.labels(status, "Git", repo).inc()
    for accept in ("", OPEN_METRICS):
        assert 4 * spent(lambda accept=accept: metrics.render(accept)) < spent(
            lambda: generate_latest(registry)
        )


def spent(work: Callable[[], object]) -> float:
    """Seconds of processor time, the best of a few."""
    times = []
    for _ in range(4):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)
