"""The kinds of panels that the boards are made of. Knows how a panel looks, and no metric.

Every panel has a title, a text that says what it shows and what to do about it, a unit, legends, and words for the time
when there is nothing to show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import heatmap as heat_looks
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="${datasource}")
NOTHING = "nothing in this time"
OF_ONE_MEMBER = "/d/federation-member/one-member?" + "&".join(
    ("var-datasource=${datasource}", "var-member=${__field.labels.member}", "${__url_time_range}")
)

Panel = timeseries.Panel | stat.Panel | statetimeline.Panel | table.Panel | bargauge.Panel | heatmap.Panel
_P = TypeVar(
    "_P",
    timeseries.Panel,
    stat.Panel,
    statetimeline.Panel,
    table.Panel,
    bargauge.Panel,
    heatmap.Panel,
)
Row = tuple[dashboard.Row, tuple[Panel, ...]]
"""A heading, and the panels below it."""
Step = tuple[float | None, str]
"""From this value on a figure has this colour; the first step begins at None."""
Words = Mapping[int, tuple[str, str]]
"""For a figure that stands for a word: the word, and its colour."""


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and how its series are called: `{{member}}` is a label. `dashed` is what is wanted, not what is."""

    expr: str
    legend: str
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table. `expr` has one value for each row."""

    title: str
    expr: str
    unit: str = "short"
    decimals: int | None = None
    words: Words | None = None
    steps: Sequence[Step] = ()


def lines(
    title: str,
    text: str,
    *queries: Query,
    unit: str = "short",
    span: int = 12,
    height: int = 8,
    empty: str = NOTHING,
    steps: Sequence[Step] = (),
    most: float | None = None,
    stacked: bool = False,
) -> timeseries.Panel:
    """Figures over time; with `steps` a dashed line stands where a colour changes."""
    panel = _filled(timeseries.Panel(), title, text, queries, unit, (span, height), empty, steps)
    panel.line_width(1).fill_opacity(25 if stacked else 5).show_points(looks.VisibilityMode.AUTO).min(0)
    panel.tooltip(_all_at_once()).legend(_legend("mean", "max", "lastNotNull")).data_links([_to_member()])
    if most is not None:
        panel.max(most)
    if stacked:
        panel.stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL))
    if steps:
        panel.color_scheme(dashboard.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
        panel.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(looks.GraphThresholdsStyleMode.DASHED)
        )
    for ref, query in zip(ascii_uppercase, queries, strict=False):
        if query.dashed:
            dashes = {"fill": "dash", "dash": [8, 6]}
            panel.override_by_query(
                ref,
                [DynamicConfigValue("custom.lineStyle", dashes), DynamicConfigValue("custom.fillOpacity", 0)],
            )
    return panel


def figure(
    title: str,
    text: str,
    *queries: Query,
    unit: str = "short",
    span: int = 4,
    height: int = 4,
    empty: str = NOTHING,
    steps: Sequence[Step] = (),
    words: Words | None = None,
    decimals: int | None = None,
    named: bool = False,
) -> stat.Panel:
    """The figures of now, large; `named` shows the series' names beside them."""
    panel = _filled(stat.Panel(), title, text, queries, unit, (span, height), empty, steps, instant=True)
    panel.reduce_options(_last()).graph_mode(looks.BigValueGraphMode.NONE)
    both = named or len(queries) > 1
    panel.text_mode(looks.BigValueTextMode.VALUE_AND_NAME if both else looks.BigValueTextMode.VALUE)
    panel.color_mode(looks.BigValueColorMode.VALUE)
    if words is not None:
        panel.mappings(_mappings(words))
    if decimals is not None:
        panel.decimals(decimals)
    return panel


def states(
    title: str,
    text: str,
    query: Query,
    words: Words,
    *,
    span: int = 24,
    height: int = 8,
    empty: str = NOTHING,
) -> statetimeline.Panel:
    """One line for each series, coloured by what its figure stands for."""
    panel = _filled(statetimeline.Panel(), title, text, [query], "none", (span, height), empty, ())
    panel.mappings(_mappings(words)).merge_values(True).show_value(looks.VisibilityMode.AUTO)
    panel.color_scheme(dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS)).row_height(0.8)
    return panel.tooltip(_all_at_once()).legend(_legend()).data_links([_to_member()])


def ranking(
    title: str,
    text: str,
    query: Query,
    *,
    unit: str = "short",
    span: int = 12,
    height: int = 8,
    empty: str = NOTHING,
    steps: Sequence[Step] = (),
    most: float | None = None,
) -> bargauge.Panel:
    """The figures of now side by side, each as a bar."""
    panel = _filled(bargauge.Panel(), title, text, [query], unit, (span, height), empty, steps, instant=True)
    panel.reduce_options(_last()).orientation(looks.VizOrientation.HORIZONTAL).min(0)
    panel.display_mode(looks.BarGaugeDisplayMode.BASIC).data_links([_to_member()])
    return panel if most is None else panel.max(most)


def heat(
    title: str,
    text: str,
    query: Query,
    *,
    unit: str = "s",
    span: int = 24,
    height: int = 9,
    empty: str = NOTHING,
) -> heatmap.Panel:
    """A histogram over time. The query's series are its buckets, named by their upper limit."""
    panel = _filled(
        heatmap.Panel(),
        title,
        text,
        [query],
        "short",
        (span, height),
        empty,
        (),
        form=PromQueryFormat.HEATMAP,
    )
    panel.calculate(False).y_axis(heatmap.YAxisConfig().unit(unit)).cell_gap(1)
    panel.color(
        heatmap.HeatmapColorOptions().mode(heat_looks.HeatmapColorMode.SCHEME).scheme("Blues").steps(32)
    )
    return panel.mode(looks.TooltipDisplayMode.SINGLE).show_legend()


def sheet(
    title: str,
    text: str,
    row: str,
    *columns: Column,
    span: int = 24,
    height: int = 8,
    empty: str = NOTHING,
) -> table.Panel:
    """One row for each value of the label `row`, or for each set of labels where the columns have more of them."""
    queries = [Query(column.expr, column.title) for column in columns]
    panel = _filled(
        table.Panel(),
        title,
        text,
        queries,
        "short",
        (span, height),
        empty,
        (),
        form=PromQueryFormat.TABLE,
        instant=True,
    )
    panel.show_header(True).cell_height(looks.TableCellHeight.SM)
    names = {row: row.capitalize()}
    for ref, column in zip(ascii_uppercase, columns, strict=False):
        names["Value" if len(columns) == 1 else f"Value #{ref}"] = column.title
        panel.override_by_name(column.title, _of(column))
    hidden = dict.fromkeys(("Time", "__name__", "instance", "job"), True)
    merge = DataTransformerConfig(id_val="merge", options={})
    organize = DataTransformerConfig(
        id_val="organize", options={"excludeByName": hidden, "indexByName": {}, "renameByName": names}
    )
    return panel.with_transformation(merge).with_transformation(organize)


def row(title: str, *panels: Panel) -> Row:
    """Panels under a heading."""
    return dashboard.Row(title), panels


def _filled(
    panel: _P,
    title: str,
    text: str,
    queries: Sequence[Query],
    unit: str,
    size: tuple[int, int],
    empty: str,
    steps: Sequence[Step],
    *,
    instant: bool = False,
    form: PromQueryFormat = PromQueryFormat.TIME_SERIES,
) -> _P:
    """What all kinds have."""
    panel.title(title).description(text).unit(unit).no_value(empty).datasource(PROMETHEUS)
    panel.span(size[0]).height(size[1])
    panel.thresholds(_thresholds(steps or [(None, "text")]))
    for ref, query in zip(ascii_uppercase, queries, strict=False):
        target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(ref)
        target.datasource(PROMETHEUS).format(form)
        panel.with_target(target.instant() if instant else target.range())
    return panel


def _of(column: Column) -> list[DynamicConfigValue]:
    found = [DynamicConfigValue("unit", column.unit)]
    if column.decimals is not None:
        found.append(DynamicConfigValue("decimals", column.decimals))
    if column.words is not None:
        found.append(DynamicConfigValue("mappings", _mappings(column.words)))
    if column.steps:
        found.append(DynamicConfigValue("thresholds", _thresholds(column.steps).build()))
    if column.words is not None or column.steps:
        found.append(DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    return found


def _thresholds(steps: Sequence[Step]) -> dashboard.ThresholdsConfig:
    found = [Threshold(value, colour) for value, colour in steps]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(found)


def _mappings(words: Words) -> list[ValueMapping]:
    options = {
        str(figure): ValueMappingResult(text=word, color=colour, index=place)
        for place, (figure, (word, colour)) in enumerate(words.items())
    }
    return [ValueMap(options=options)]


def _legend(*figures: str) -> common.VizLegendOptions:
    legend = common.VizLegendOptions().show_legend(True).placement(looks.LegendPlacement.BOTTOM)
    kind = looks.LegendDisplayMode.TABLE if figures else looks.LegendDisplayMode.LIST
    return legend.display_mode(kind).calcs(list(figures))


def _all_at_once() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI).sort(looks.SortOrder.DESCENDING)


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False)


def _to_member() -> dashboard.DashboardLink:
    return dashboard.DashboardLink("This member alone").url(OF_ONE_MEMBER)
