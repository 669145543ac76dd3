"""The rules for Prometheus: they are right by its own tools, tell of nothing that the front door does not, and every
alert is explained, fires and ends."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from door_stage import Door, StockMember
from prometheus_client.parser import text_string_to_metric_families

from federation.core.facts import LoopFailed

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "dashboards" / "prometheus"
TESTS = sorted((FOLDER / "tests").glob("*.yml"))
FIRING = 'count by (alertname) (ALERTS{alertstate="firing"})'
PROMETHEUS_OWN = {"up", "ALERTS"}
TARGETS = {"instance", "job", "le"}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    files = sorted((FOLDER / "rules").glob("*.yml"))
    return [rule for file in files for group in read(file)["groups"] for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
RECORDED = {rule["record"] for rule in rules() if "record" in rule}


def selectors(expr: str) -> Iterator[promql_parser.VectorSelector]:
    found: list[promql_parser.VectorSelector] = []

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.MatrixSelector):
            found.append(node.vector_selector)
        elif isinstance(node, promql_parser.VectorSelector):
            found.append(node)

    promql_parser.walk(promql_parser.parse(expr), visit)
    yield from found


def written() -> str:
    return (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


def documented() -> dict[str, tuple[str, set[str]]]:
    """Type and labels of every metric in the tables of docs/metrics.md."""
    rows = re.findall(
        r"^\| `(federation_\w+)` \| (\w+) \|([^|]*)\|",
        written(),
        re.MULTILINE,
    )
    return {name: (kind, set(re.findall(r"\w+", labels))) for name, kind, labels in rows}


def test_prometheus_takes_the_files() -> None:
    told = subprocess.run(
        ["promtool", "check", "config", str(FOLDER / "prometheus.yml")], capture_output=True, text=True
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert f"{len(ALERTS)} rules found" in told.stdout and f"{len(RECORDED)} rules found" in told.stdout


def test_every_alert_fires_and_ends_when_it_is_to() -> None:
    command = ["promtool", "test", "rules", *map(str, TESTS)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_an_alert_is_tested_explained_and_addressed(alert: str) -> None:
    seen = []
    for test in (test for file in TESTS for test in read(file)["tests"]):
        looks = test["promql_expr_test"]
        assert all(look["expr"] == FIRING for look in looks)
        fired = [any(f'"{alert}"' in one["labels"] for one in look.get("exp_samples", ())) for look in looks]
        seen.append(True in fired and not fired[0] and not fired[-1])
    assert any(seen), "no test in which it does not fire, fires, and ends"
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("page", "ticket")
    notes = rule["annotations"]
    assert notes["summary"] and notes["description"] and notes["runbook_url"].endswith(f"#{alert.lower()}")
    section = re.search(rf"^## {alert}\n(.*?)(?=^## |\Z)", runbooks(), re.MULTILINE | re.DOTALL)
    assert section is not None and all(f"**{word}" in section[1] for word in ("Means", "Visitors", "Look"))


def runbooks() -> str:
    return (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")


def test_no_runbook_is_of_an_alert_that_is_gone() -> None:
    assert set(re.findall(r"^## (\w+)$", runbooks(), re.MULTILINE)) == set(ALERTS)
    anchors = {anchor.lower() for anchor in ALERTS}
    assert set(re.findall(r"\]\(#(\w+)\)", runbooks())) <= anchors


async def test_the_front_door_tells_every_metric_that_is_written_down_and_no_other() -> None:
    async with StockMember("alpha") as alpha, Door(alpha.configured()) as door:
        await door.launch()
        door.door.tell(LoopFailed("a loop", ValueError()))
        families = list(text_string_to_metric_families(await door.text("/metrics")))
    known = documented()
    exported = {}
    for family in families:
        if not family.name.startswith("federation_") or family.name.endswith("_created"):
            continue
        name = {"counter": f"{family.name}_total", "info": f"{family.name}_info"}.get(
            family.type, family.name
        )
        exported[name] = family
        kind, labels = known[name]
        assert family.type == kind or (family.type, kind) == ("info", "gauge"), name
        for sample in family.samples:
            assert set(sample.labels) - TARGETS == labels, name
    assert set(known) == set(exported)


def test_rules_name_what_is_told_and_no_label_that_it_does_not_have() -> None:
    known = documented()
    for rule in rules():
        for selector in selectors(rule["expr"]):
            name = (
                re.sub(r"_(bucket|count|sum)$", "", selector.name)
                if selector.name not in known
                else selector.name
            )
            assert name in known or selector.name in RECORDED | PROMETHEUS_OWN, selector.name
            if name in known:
                asked = {matcher.name for matcher in selector.matchers.matchers}
                assert asked <= known[name][1] | TARGETS, selector.name


def test_every_recorded_name_is_written_down() -> None:
    for name in RECORDED - {"federation:runbooks:info"}:
        assert f"`{name}`" in written(), name


def test_the_way_of_alerts_names_alerts_and_receivers_that_exist() -> None:
    file = read(FOLDER / "alertmanager.yml")
    receivers = {receiver["name"] for receiver in file["receivers"]}
    named = {file["route"]["receiver"], *(route["receiver"] for route in file["route"]["routes"])}
    assert named == receivers
    for rule in file["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            assert set(matcher.split('"')[1].split("|")) <= set(ALERTS), matcher


def test_the_example_of_a_webhook_prints_what_an_alertmanager_sends() -> None:
    alert = {
        "status": "firing",
        "labels": {"alertname": "RouterBlind", "severity": "page"},
        "annotations": {"summary": "All is dark", "runbook_url": "https://x/#routerblind"},
    }
    command = [sys.executable, str(FOLDER / "webhook.py"), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            body = json.dumps({"version": "4", "status": "firing", "alerts": [alert]}).encode()
            with urllib.request.urlopen(url, body, timeout=30) as answer:
                assert answer.status == 204
            assert process.stdout.readline() == "[page] firing: All is dark (https://x/#routerblind)\n"
        finally:
            process.terminate()
