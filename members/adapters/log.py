"""Facts as lines of a log on standard error. Decides nothing."""

from __future__ import annotations

import logging
import sys
from dataclasses import fields
from typing import Literal

import structlog
from aiohttp.http_exceptions import HttpProcessingError

from members.core.facts import (
    BuildEnded,
    Fact,
    LaunchEnded,
    LaunchRetried,
    Note,
    RateLimit,
    StoryEnded,
    Trouble,
)


def configure(
    level: Literal["debug", "info", "warning", "error"], format: Literal["console", "json"]
) -> None:
    """Sets up the process's log, for libraries too. Called once, by the command."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if format == "json"
        # Plain traces: the default ones show the values of all local variables, tokens among them.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    finish = [structlog.processors.format_exc_info] if format == "json" else []
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish, renderer],
        )
    )
    logging.basicConfig(level=threshold, handlers=[handler], force=True)
    logging.getLogger("aiohttp.server").addFilter(shorten_bad_requests)


def shorten_bad_requests(record: logging.LogRecord) -> bool:
    """Makes one plain line of what the web server tells about a request that is no HTTP: no trace, no alarm."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError) and error.code < 500:
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.msg, record.args = f"{record.getMessage()}: {type(error).__name__}", ()
        record.exc_info = None
    return True


def listen(fact: Fact) -> None:
    """One line for each fact; what is this member's own trouble is louder than a repository's."""
    log = structlog.get_logger("binder.member")
    match fact:
        case RateLimit():
            log.debug("GitHub rate limit", remaining=fact.remaining)
        case StoryEnded():
            log.debug(_sentence(fact), **_details(fact))
        case Note():
            log.info(fact.message.rstrip())
        case Trouble():
            log.error("trouble", where=fact.where, exc_info=fact.error)
        case BuildEnded(ours=True) | LaunchEnded(status="failure") | LaunchRetried():
            log.warning(_sentence(fact), **_details(fact))
        case _:
            log.info(_sentence(fact), **_details(fact))


def _sentence(fact: Fact) -> str:
    """`BuildEnded` as `build ended`."""
    return "".join(f" {char.lower()}" if char.isupper() else char for char in type(fact).__name__).strip()


def _details(fact: Fact) -> dict[str, object]:
    """The fact's own words, without those that are empty."""
    told = {field.name: getattr(fact, field.name) for field in fields(fact)}
    return {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in told.items()
        if value != ""
    }
