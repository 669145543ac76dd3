"""What a registry wants to be shown: the header WWW-Authenticate of RFC 7235. Knows no credentials."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))\s*(?=,|$)')
_SCHEME = re.compile(rf"({_TOKEN})(?:\s+|(?=,)|$)")
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*\s*(?=,|$)")
_BETWEEN = re.compile(r"[\s,]*")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to be let in. `scheme` and the names of parameters are in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """All challenges of one answer, which may have several headers and several challenges in each.

    What cannot be read ends a header, and the challenges before it count.
    """
    found: list[Challenge] = []
    for header in headers:
        position = _after(_BETWEEN, header, 0)
        current: dict[str, str] | None = None
        while position < len(header):
            if current is not None and (match := _PARAMETER.match(header, position)):
                quoted = match[2]
                current[match[1].lower()] = match[3] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            elif match := _SCHEME.match(header, position):
                current = {}
                found.append(Challenge(match[1].lower(), current))
                if not _PARAMETER.match(header, match.end()) and (
                    blob := _TOKEN68.match(header, match.end())
                ):
                    match = blob
            else:
                break
            position = _after(_BETWEEN, header, match.end())
    return tuple(found)


def _after(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position
