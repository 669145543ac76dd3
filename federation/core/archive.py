"""One launch as one line of the public archive, and the lists of its files. Knows no file and no clock.

Names and shapes are those of mybinder.org's own archive, so that whoever reads that reads this; the fields after
`origin` are ours. Nothing personal is in it: no visitor, no page that asked, no query, no credentials of a
repository's URL, and times to the minute.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from html import escape
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from federation.core.facts import LaunchEnded, Outcome, Redirected
from federation.core.launchkey import shown
from federation.core.model import Launch
from federation.core.providers import BY_ID
from federation.core.rules import Settings

SCHEMA = "binderhub.jupyter.org/launch"
VERSION = 6
# What the schema calls each kind of repository.
NAMES: Mapping[str, str] = MappingProxyType(
    {
        "gh": "GitHub",
        "gist": "Gist",
        "git": "Git",
        "gl": "GitLab",
        "zenodo": "Zenodo",
        "figshare": "Figshare",
        "hydroshare": "Hydroshare",
        "dataverse": "Dataverse",
        "ckan": "CKAN",
    }
)
STATUS: Mapping[Outcome, str] = MappingProxyType({Outcome.READY: "success", Outcome.FAILED: "failure"})
DAY = 86400  # seconds

PIECE = 64 * 1024  # bytes that are looked at at once

_FILE = re.compile(r"events-([0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]))\.jsonl")


def folder_of(settings: Settings) -> str | None:
    """Where the archive is; None when there is none."""
    if settings.archive.folder is not None:
        return settings.archive.folder
    return None if settings.state_folder is None else f"{settings.state_folder}/archive"


def origin_of(settings: Settings) -> str:
    """The front door's own host; empty when the configuration does not tell it."""
    return "" if settings.public_url is None else _host(settings.public_url)


@lru_cache(maxsize=4)
def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def line_of(fact: LaunchEnded | Redirected, origin: str) -> dict[str, Any]:
    """What the archive keeps of this launch. One whose end was not seen has no `status`."""
    return _ended(fact, origin) if isinstance(fact, LaunchEnded) else _handed(fact, origin)


def _ended(end: LaunchEnded, origin: str) -> dict[str, Any]:
    return {
        **_about(end.launch, end.at, end.commit),
        **({"status": STATUS[end.outcome]} if end.outcome in STATUS else {}),
        "build_token": end.with_token,
        "origin": origin,
        "outcome": end.outcome.value,
        "cause": end.cause,
        "member": end.member,
        "attempts": end.attempts,
        "built": end.built,
        "seconds": round(end.seconds, 3),
        "waited": round(end.waited, 3),
        "milliseconds": {phase: round(1000 * seconds) for phase, seconds in end.phases},
    }


def _handed(fact: Redirected, origin: str) -> dict[str, Any]:
    return {
        **_about(fact.launch, fact.at, None),
        "build_token": "build_token" in fact.launch.query and _has_token(fact.launch.query),
        "origin": origin,
        "outcome": Outcome.REDIRECTED.value,
        "cause": Outcome.REDIRECTED.value,
        "member": fact.view.member.name,
        "attempts": 1,
    }


def _has_token(query: str) -> bool:
    return any(name == "build_token" for name, _ in parse_qsl(query))


def _about(launch: Launch, at: float, commit: str | None) -> dict[str, Any]:
    return {
        "timestamp": minute_of(at),
        "schema": SCHEMA,
        "version": VERSION,
        "provider": NAMES[launch.provider],
        "spec": public_spec(launch),
        "ref": commit or "",
    }


@lru_cache(maxsize=1024)  # a crowd asks for the same again and again
def public_spec(launch: Launch) -> str:
    """The spec as it was asked for, still percent-encoded, but without credentials."""
    spec = launch.spec.rstrip("/")
    if shown(spec) == unquote(spec):
        return spec
    repo, slash, ref = spec.partition("/")
    if not BY_ID[launch.provider].display["repo"]["urlEncode"] or unquote(repo).endswith("/"):
        return quote(shown(spec))
    return quote(shown(repo), safe="") + quote(shown(slash + ref))


def minute_of(at: float) -> str:
    """Seconds since the epoch as the archive writes them: `2024-01-02T03:04:00+00:00`, cut to the minute."""
    return _minute(int(at // 60))


@lru_cache(maxsize=16)
def _minute(since_epoch: int) -> str:
    days, minutes = divmod(since_epoch, DAY // 60)
    return f"{_day(days)}T{minutes // 60:02}:{minutes % 60:02}:00+00:00"


def day_of(at: float) -> str:
    """The day in UTC, as `2024-01-02`."""
    return _day(int(at // DAY))


@lru_cache(maxsize=16)
def _day(since_epoch: int) -> str:
    """Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", 2013: `civil_from_days`. Years begin in March
    there, so that the leap day is the last of its year."""
    era, of_era = divmod(since_epoch + 719468, 146097)  # days since 0000-03-01; of 400 years
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    march = (5 * of_year + 2) // 153
    day, month = of_year - (153 * march + 2) // 5 + 1, march + 3 if march < 10 else march - 9
    return f"{400 * era + year + (month <= 2):04}-{month:02}-{day:02}"


def file_of(day: str) -> str:
    """The name of a day's file."""
    return f"events-{day}.jsonl"


def day_in(name: str) -> str | None:
    """The day that a file of this name is of; None when it is no file of the archive."""
    found = _FILE.fullmatch(name)
    return None if found is None else found[1]


def whole_size(size: int, read: Callable[[int, int], bytes]) -> int:
    """How many of a file's `size` bytes are whole lines: all up to the last line end. `read` gives so many bytes from
    a place on, both as numbers in this order."""
    end = size
    while end > 0:
        begin = max(0, end - PIECE)
        found = read(end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def index_lines(counts: Mapping[str, int]) -> str:
    """`index.jsonl`: how many launches each day's file holds. The count is a text, and no line end comes last, as in
    mybinder.org's."""
    days = ((day, str(counts[day])) for day in sorted(counts))
    return "\n".join(json.dumps({"name": file_of(day), "date": day, "count": count}) for day, count in days)


def index_page(counts: Mapping[str, int], title: str) -> str:
    """`index.html` for a file server that knows nothing of us: all files, the newest first."""
    heading = escape(f"Launches of {title}")
    rows = "\n".join(
        f'<tr><td><a href="{file_of(day)}">{file_of(day)}</a></td><td>{counts[day]:,}</td></tr>'
        for day in sorted(counts, reverse=True)
    )
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{heading}</title>
<style>:root {{ color-scheme: light dark }} body {{ font: 1rem/1.5 system-ui; margin: 2rem auto; max-width: 40rem }}
td {{ padding-right: 2rem }} td + td {{ text-align: right }}</style></head>
<body>
<h1>{heading}</h1>
<p>One file of JSON lines a day, in UTC. <a href="index.jsonl">index.jsonl</a> lists them for programs.</p>
<table>
<tr><th align="left">File</th><th>Launches</th></tr>
{rows}
</table>
</body>
</html>
"""
