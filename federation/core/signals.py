"""What Prometheus, or a member's own metrics, tell of a member, and what that is worth. Knows no query and no wire."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# Signal: what it says. All are optional; what is not known is neutral.
SIGNALS: Mapping[str, str] = MappingProxyType(
    {
        "launch_success": "share of launches of the last minutes that ended well, of 1",
        "launches": "launches of the last minutes, whose share `launch_success` is",
        "launch_seconds": "time that 95 % of launches took at most, in seconds",
        "builds": "builds in progress",
        "launching": "launches in progress",
        "sessions": "running sessions",
        "quota": "sessions that may run",
        "pressure": "share of the nodes that are short of memory, disk or processes, of 1",
    }
)
