"""Durations and sizes as people write them in a configuration. Knows no configuration."""

from __future__ import annotations

import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)")


def seconds(text: object) -> float:
    """`10m` is 600.0. Raises ValueError, saying what was expected, for anything else, bare numbers too."""
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or float(match[1]) == 0:
        raise ValueError("expected a duration above zero: a number with s, m or h, such as 10m")
    return float(match[1]) * _SECONDS[match[2]]


def size(text: object) -> int:
    """`4G` is 4 * 1024**3 bytes, `4096` or 4096 are bytes. Raises ValueError, saying what was expected."""
    if isinstance(text, int) and not isinstance(text, bool) and text > 0:
        return text
    match = _SIZE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or float(match[1]) == 0:
        raise ValueError("expected a size above zero: bytes, or a number with K, M, G or T, such as 4G")
    return int(float(match[1]) * _BYTES[match[2]])
