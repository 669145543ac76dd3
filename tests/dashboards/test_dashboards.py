"""What the boards are made of, read from the files that Grafana gets."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from board_reader import FOLDER, Question, boards, metrics, panels, questions

from dashboards.__main__ import texts

ROOT = FOLDER.parents[1]
BOARDS = boards()
VARIABLES = {"__rate_interval": "1m", "__range": "6h", "member": "alpha|beta"}
TITLES = {
    "federation-overview": "Federation overview",
    "federation-member": "One member",
    "federation-launches": "Launches and builds",
    "federation-capacity": "Quota and capacity",
    "federation-router": "Router internals",
    "federation-slo": "SLO and error budget",
    "federation-costs": "Costs",
}

of_every_board = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])


def test_the_committed_boards_are_the_generated_ones() -> None:
    """`make dashboards` writes them anew."""
    assert {file.name: file.read_text() for file in FOLDER.iterdir()} == texts()


def test_every_board_is_found_by_the_address_that_it_always_had() -> None:
    assert {board["uid"]: board["title"] for board in BOARDS} == TITLES


@of_every_board
def test_every_panel_says_what_it_shows_and_what_to_do(board: dict[str, Any]) -> None:
    assert board["description"] and board["tags"] == ["binder-federation"]
    titles = [panel["title"] for panel in panels(board)]
    assert len(set(titles)) == len(titles)
    for panel in panels(board):
        defaults = panel["fieldConfig"]["defaults"]
        assert len(panel["description"]) > 10 and panel["description"].endswith("."), panel["title"]
        assert defaults["unit"] and defaults["noValue"], panel["title"]
        assert defaults["thresholds"]["steps"][0]["value"] is None, panel["title"]
        assert panel["options"], panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]


@of_every_board
def test_what_the_sdk_leaves_out_is_there(board: dict[str, Any]) -> None:
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers) and all(numbers)
    for panel in panels(board):
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs) and all(refs)
        for asking in (panel, *panel["targets"]):
            assert asking["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@of_every_board
def test_panels_fill_the_grid_and_none_lies_upon_another(board: dict[str, Any]) -> None:
    places = [(panel["title"], *(panel["gridPos"][side] for side in "xywh")) for panel in board["panels"]]
    for name, x, _, width, _ in places:
        assert x >= 0 and x + width <= 24, name
    for (one, x, y, w, h), (other, x2, y2, w2, h2) in combinations(places, 2):
        assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y, (one, other)
    for y in {y for _, _, y, _, _ in places}:
        assert sum(width for _, _, top, width, _ in places if top == y) == 24, y


@of_every_board
def test_boards_lead_to_each_other_and_share_their_variables(board: dict[str, Any]) -> None:
    (link,) = board["links"]
    assert link["tags"] == ["binder-federation"] and link["includeVars"] and link["keepTime"]
    source, member = board["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert member["name"] == "member"
    assert member["multi"] is member["includeAll"] is (board["uid"] != "federation-member")
    for panel in panels(board):
        for to in panel["fieldConfig"]["defaults"].get("links") or ():
            assert to["url"].split("/")[2] in TITLES


@pytest.mark.parametrize("question", questions(), ids=str)
def test_every_query_is_promql_that_names_its_metrics(question: Question) -> None:
    expr = question.filled(**VARIABLES)
    assert "$" not in expr
    metrics(promql_parser.parse(expr))


def test_a_query_that_names_no_metric_is_found() -> None:
    with pytest.raises(AssertionError, match="names no metric"):
        metrics(promql_parser.parse('sum(rate({job="x"}[5m]))'))
    assert metrics(
        promql_parser.parse("topk(3, a) / on () (b > c) or f(max_over_time(d[5m:1m]))".replace("f(", "abs("))
    ) == set("abcd")


def test_the_docs_explain_every_metric_of_ours() -> None:
    """docs/metrics.md is where a reader of a board looks a name up, docs/costs.md for those of money."""
    told = "".join((ROOT / "docs" / name).read_text() for name in ("metrics.md", "costs.md"))
    names = {name for each in questions() for name in metrics(promql_parser.parse(each.filled(**VARIABLES)))}
    ours = {_plain(name) for name in names if name.startswith("federation_")}
    short = "federation_member"  # what a list of several leaves out from the second on
    assert not {name for name in ours if name not in told and f"`{name.removeprefix(short)}`" not in told}


def test_provisioning_names_the_folder_and_the_source_of_the_boards() -> None:
    folder = ROOT / "dashboards" / "provisioning" / "grafana"
    (source,) = _read(folder / "datasources" / "prometheus.yaml")["datasources"]
    assert source["type"] == "prometheus" and source["url"].startswith("http")
    (provider,) = _read(folder / "dashboards" / "federation.yaml")["providers"]
    assert provider["type"] == "file" and provider["options"]["path"]
    assert provider["allowUiUpdates"] is False


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    assert found["apiVersion"] == 1
    return found


def _plain(name: str) -> str:
    """A histogram's name, without the parts that it is told in."""
    return name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum")
