"""Durations and sizes as people write them in a configuration. Knows no configuration."""

from __future__ import annotations

import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)")


def seconds(text: object) -> float:
    """`10m` is 600.0. Raises ValueError, saying what was expected, for anything else, bare numbers too."""
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or float(match[1]) == 0:
        raise ValueError("expected a duration above zero: a number with s, m, h or d, such as 10m")
    return float(match[1]) * _SECONDS[match[2]]


def size(text: object) -> int:
    """`4G` is 4 * 1024**3 bytes, `4096` or 4096 are bytes. Raises ValueError, saying what was expected."""
    if isinstance(text, int) and not isinstance(text, bool) and text > 0:
        return text
    match = _SIZE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or float(match[1]) == 0:
        raise ValueError("expected a size above zero: bytes, or a number with K, M, G or T, such as 4G")
    return int(float(match[1]) * _BYTES[match[2]])


def in_bytes(count: int) -> str:
    """A size for people, with three digits: `1.35 GB`. Powers of 1000, as registries and disks are told."""
    for limit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= limit:
            return f"{count / limit:.3g} {name}"
    return f"{count} B"


def in_days(duration: float) -> str:
    """How long ago something was, for people: its largest unit, as `3 days`."""
    for limit, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if duration >= limit:
            count = int(duration // limit)
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    return "less than a minute"
