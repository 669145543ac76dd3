"""When an image was last used, and who is just pushing it, as each member tells the others. Knows no registry.

Images are named here without their host: members may reach one registry by different names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from members.core.imageref import parse

SCHEMA = 1
REPOSITORY = "usage"  # after the federation's prefix; no image's name can be this, they all end with a hash
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")  # printed on operators' terminals
_END = 2.0**40  # seconds; also refuses the infinities that JSON's readers take
_MOST = 20_000  # images in one record; the longest unused go first
_PUSH_LIMIT = (
    6 * 3600.0
)  # seconds after which a push counts as given up by a member that ended without a word


@dataclass(frozen=True, slots=True)
class Usage:
    """One member's record. Times are Unix seconds; `pushing` has the start of each build that is under way."""

    member: str
    written: float = 0.0
    used: Mapping[str, float] = field(default_factory=dict)
    pushing: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LastUse:
    """The last use of an image anywhere, and the member it was on."""

    at: float
    member: str


@dataclass(frozen=True, slots=True)
class Known:
    """All members' records together. `pushing` are repositories that somebody is building into."""

    members: tuple[str, ...]
    last_use: Mapping[str, LastUse]
    pushing: frozenset[str]


def key(image: str) -> str:
    """The name of an image in records."""
    ref = parse(image)
    return f"{ref.repository}:{ref.reference}"


def used(usage: Usage, image: str, now: float) -> Usage:
    """With one more use."""
    return replace(usage, used={**usage.used, key(image): now})


def push_started(usage: Usage, image: str, now: float) -> Usage:
    return replace(usage, pushing={**usage.pushing, key(image): now})


def push_ended(usage: Usage, image: str) -> Usage:
    return replace(usage, pushing={name: at for name, at in usage.pushing.items() if name != key(image)})


def at(usage: Usage, now: float) -> Usage:
    """As it is written now."""
    return replace(usage, written=now)


def joined(usage: Usage, earlier: Usage) -> Usage:
    """With what an earlier life of the same member knew; its pushes ended with it."""
    used = dict(earlier.used)
    for image, at in usage.used.items():
        used[image] = max(at, used.get(image, 0.0))
    return replace(usage, used=used)


def together(records: Iterable[Usage], now: float) -> Known:
    """What all members know. A push that began long ago is that of a member which cannot have ended it."""
    found = sorted(records, key=lambda record: record.member)
    last_use: dict[str, LastUse] = {}
    pushing = set()
    for record in found:
        for image, at in record.used.items():
            if image not in last_use or last_use[image].at < at:
                last_use[image] = LastUse(at, record.member)
        pushing |= {
            image.rpartition(":")[0] for image, began in record.pushing.items() if now - began < _PUSH_LIMIT
        }
    return Known(tuple(record.member for record in found), last_use, frozenset(pushing))


def to_json(usage: Usage) -> str:
    """The record as it stands in the registry, the most recent uses of it."""
    recent = sorted(usage.used.items(), key=lambda item: item[1], reverse=True)[:_MOST]
    told = {
        "schema": SCHEMA,
        "member": usage.member,
        "written": round(usage.written),
        "used": {image: round(at) for image, at in recent},
        "pushing": {image: round(at) for image, at in usage.pushing.items()},
    }
    return json.dumps(told, separators=(",", ":"), sort_keys=True)


def from_json(text: str | bytes) -> Usage:
    """A record from the registry. Raises ValueError for anything else: who cannot read it must not delete."""
    told = json.loads(text)
    if not isinstance(told, dict) or told.get("schema") != SCHEMA:
        raise ValueError(f"expected a usage record of schema {SCHEMA}")
    member, written = told.get("member"), told.get("written")
    if not isinstance(member, str) or not _NAME.fullmatch(member):
        raise ValueError("expected a usage record with a member's name")
    if not isinstance(written, (int, float)) or not _is_time(written):
        raise ValueError("expected a usage record with the time it was written at")
    return Usage(member, float(written), _times(told.get("used")), _times(told.get("pushing")))


def _times(told: object) -> dict[str, float]:
    if not isinstance(told, dict) or not all(_is_time(at) for at in told.values()):
        raise ValueError("expected image names with Unix seconds")
    return {str(image): float(at) for image, at in told.items()}


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _END
