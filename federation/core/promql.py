"""The questions that are put to a Prometheus about one member, as PromQL. Knows no server.

They read what a stock BinderHub exports, our members alike; sessions, quota and pressure also take
kube-state-metrics, JupyterHub and the node exporter, whichever Prometheus knows. Launches are read from
the count of the histogram of their times: the plain counter has a series for each repository, and PromQL's
`increase` misses the first launch of every new series.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SELECTOR = "%(selector)s"
MEMBER = "%(member)s"

# What picks a member stands last inside the braces, where PromQL allows it to be empty.
QUERIES: Mapping[str, str] = MappingProxyType(
    {
        "launch_success": (
            '(sum(increase(binderhub_launch_time_seconds_count{status="success",%(selector)s}[10m]))'
            " or vector(0))"
            ' / sum(increase(binderhub_launch_time_seconds_count{status=~"success|failure",%(selector)s}[10m]))'
        ),
        "launches": (
            'sum(increase(binderhub_launch_time_seconds_count{status=~"success|failure",%(selector)s}[10m]))'
        ),
        "launch_seconds": (
            "histogram_quantile(0.95, sum by (le) "
            '(rate(binderhub_launch_time_seconds_bucket{status="success",%(selector)s}[10m])))'
        ),
        "builds": "sum(binderhub_inprogress_builds{%(selector)s})",
        "launching": "sum(binderhub_inprogress_launches{%(selector)s})",
        "sessions": (
            'sum(kube_pod_status_phase{pod=~"jupyter-.*",phase="Running",%(selector)s})'
            " or sum(jupyterhub_running_servers{%(selector)s})"
        ),
        "quota": 'min(kube_resourcequota{resource=~"pods|count/pods",type="hard",%(selector)s})',
        "pressure": (
            "avg(max by (node) (kube_node_status_condition{"
            'condition=~"MemoryPressure|DiskPressure|PIDPressure",status="true",%(selector)s}))'
            " or avg(max by (instance) ("
            "(node_memory_MemAvailable_bytes{%(selector)s} / node_memory_MemTotal_bytes{%(selector)s}"
            " < bool 0.05)"
            ' or (node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs|squashfs",%(selector)s}'
            ' / node_filesystem_size_bytes{fstype!~"tmpfs|ramfs|squashfs",%(selector)s} < bool 0.05)))'
        ),
    }
)

# The signals that come from BinderHub's own metrics: as old as Prometheus' last look at them.
OF_BINDERHUB = frozenset({"launch_success", "launches", "launch_seconds", "builds", "launching"})

# Launches that each process had counted, by status.
COUNTS = "sum by (instance, status) (binderhub_launch_time_seconds_count{%(selector)s})"

# Seconds since Prometheus last had a figure of the member's BinderHub. Windows of ten minutes still have a value
# long after the last one, so that nobody sees by them that it stopped.
AGE = (
    "time() - (max(timestamp(binderhub_inprogress_launches{%(selector)s}))"
    " or max(max_over_time(timestamp(binderhub_inprogress_launches{%(selector)s})[10m:5s])))"
)


def filled(query: str, selector: str) -> str:
    """The query for what the selector picks. A `%` that stands for itself stays."""
    return query.replace(SELECTOR, selector)


def selector_of(template: str, member: str) -> str:
    """The selector of one member."""
    return template.replace(MEMBER, member)
