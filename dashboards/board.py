"""The frame that all boards share: variables, links to each other, marks for what happened. Knows no panel."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    AnnotationContainer,
    Dashboard,
    DashboardCursorSync,
    DashboardLinkType,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from dashboards.panels import PROMETHEUS, Row
from dashboards.queries import MEMBER

TAG = "binder-federation"
_MEMBERS = "label_values(federation_member_state, member)"


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened, drawn through all panels of a board. The SDK knows no such query of a Prometheus.

    With `at_value` the value is when it happened, in milliseconds since the epoch, and not the time of the sample.
    """

    name: str
    expr: str
    title: str
    text: str
    colour: str
    at_value: bool = False

    def to_json(self) -> dict[str, object]:
        return {
            "datasource": PROMETHEUS,
            "enable": True,
            "expr": self.expr,
            "iconColor": self.colour,
            "name": self.name,
            "step": "15s",
            "textFormat": self.text,
            "titleFormat": self.title,
            "useValueForTime": self.at_value,
        }


MARKS = (
    Mark(
        "State changes",
        f"(federation_member_state{{{MEMBER}}} == 1)"
        f" * on (member) group_left () federation_member_state_since_seconds{{{MEMBER}}} * 1000",
        "{{member}}: {{state}}",
        "The member entered this state. Why stands in its row of One member.",
        "blue",
        at_value=True,
    ),
    Mark(
        "Alerts",
        'ALERTS{alertstate="firing",alertname!=""}',
        "{{alertname}} {{member}}",
        "An alert was firing; what to do stands in docs/alerts.md.",
        "red",
    ),
)


def board(
    uid: str,
    title: str,
    text: str,
    rows: Sequence[Row],
    *,
    single: bool = False,
    since: str = "now-6h",
    refresh: str = "30s",
) -> Dashboard:
    """A board with these rows. `single` lets one member be chosen instead of several or all."""
    found = dashboard.Dashboard(title).uid(uid).description(text).tags([TAG])
    found.time(since, "now").refresh(refresh).timezone("browser").tooltip(DashboardCursorSync.CROSSHAIR)
    found.readonly().version(1).links([_to_others()]).variables([_datasource(), _member(single)])
    for heading, panels in rows:
        found.with_row(heading)
        for panel in panels:
            found.with_panel(panel)
    made = found.build()
    for number, each in enumerate(made.panels or (), 1):
        each.id_val = number
    made.annotations = AnnotationContainer(list_val=list(MARKS))  # type: ignore[arg-type]
    return made


def text_of(made: Dashboard) -> str:
    """The board as a file: the same board is always the same text."""
    document = json.loads(JSONEncoder().encode(made))
    return json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def _to_others() -> dashboard.DashboardLink:
    link = dashboard.DashboardLink("Federation").type(DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.as_dropdown(False).include_vars(True).keep_time(True).icon("external link").tooltip("")


def _datasource() -> dashboard.DatasourceVariable:
    return dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")


def _member(single: bool) -> dashboard.QueryVariable:
    found = dashboard.QueryVariable("member").label("Member").query(_MEMBERS).datasource(PROMETHEUS)
    found.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.NATURAL_ASC)
    if single:
        return found.multi(False).include_all(False)
    found.multi(True).include_all(True).all_value(".+")
    return found.current(VariableOption(selected=True, text=["All"], value=["$__all"]))
