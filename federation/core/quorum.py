"""Which members run other versions than most. There is no reference member: a majority is one. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

KEYS = ("binderhub", "builder")  # what decides how images are named and made
FEWEST = 3  # two that differ have no majority


def outliers(versions: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Members by name whose versions differ from those of more than half of all that tell them, with the difference in
    words."""
    found: dict[str, str] = {}
    for key in KEYS:
        told = {name: str(each[key]) for name, each in versions.items() if each.get(key) is not None}
        if len(told) < FEWEST:
            continue
        [(usual, count)] = Counter(told.values()).most_common(1)
        if 2 * count <= len(told):
            continue
        for name, version in told.items():
            if version != usual:
                found.setdefault(name, f"runs {key} {version}, most members run {usual}")
    return found
