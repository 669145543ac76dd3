"""Facts as log lines for people or machines. Decides nothing, and never writes a token or a query string."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from aiohttp.http_exceptions import HttpProcessingError

from federation.core.audit import told
from federation.core.facts import (
    AttemptEnded,
    BlindnessChanged,
    CanaryEnded,
    Chosen,
    ConfigurationRefused,
    Fact,
    IncidentChanged,
    LaunchEnded,
    LookFailed,
    LoopFailed,
    Outcome,
    Overdue,
    Reconfigured,
    Redirected,
    StateChanged,
    Steered,
)
from federation.core.incident import Change
from federation.core.launchkey import shown
from federation.core.model import Launch, State
from federation.core.rules import LogRules

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class _Unfailing:
    """A stream whose full disk or closed pipe costs the line, never the launch or the task that it tells of."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.isatty = stream.isatty

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


class FactLog:
    """A listener that writes to standard error."""

    def __init__(self, rules: LogRules, stream: TextIO | None = None) -> None:
        self._stream = _Unfailing(stream or sys.stderr)
        self.configure(rules)

    def configure(self, rules: LogRules) -> None:
        """Takes over new rules, at once."""
        self._debug = rules.level == "debug"
        self._log = _logger(rules, self._stream)

    def say(self, event: str, **values: Any) -> None:
        """A line that is about no fact, such as the start."""
        self._log.info(event, **values)

    def listen(self, fact: Fact) -> None:
        match fact:
            case Redirected():  # the commonest by far in its mode, so it comes first
                if self._debug:
                    self._log.debug("launch redirected", **_about(fact.launch), member=fact.view.member.name)
            case StateChanged() | LookFailed() | CanaryEnded() | Steered():
                self._member(fact)
            case AttemptEnded() | LaunchEnded() | Chosen() | Overdue():
                self._launch(fact)
            case BlindnessChanged() | Reconfigured() | ConfigurationRefused() | LoopFailed():
                self._own(fact)
            case IncidentChanged() if fact.change is not Change.CHANGED:
                write = self._log.info if fact.change is Change.CLOSED else self._log.error
                about = {
                    "id": fact.incident.id,
                    "title": fact.incident.title,
                    "cause": fact.incident.cause.value,
                }
                write(f"incident {fact.change.value}", **about)
            case _:
                pass

    def _member(self, fact: StateChanged | LookFailed | CanaryEnded | Steered) -> None:
        match fact:
            case StateChanged():
                write = self._log.info if fact.after is State.HEALTHY else self._log.warning
                states = {"was": fact.before.value, "is": fact.after.value}
                write("member changed", member=fact.member, **states, reason=fact.reason)
            case LookFailed():
                self._log.warning("member looked bad", member=fact.member, reason=fact.reason)
            case Steered():
                sets = {"was": told(fact.before), "is": told(fact.after)}
                self._log.info("member steered", member=fact.member, by=fact.by, **sets, reason=fact.reason)
            case CanaryEnded():
                write = self._log.info if fact.outcome is Outcome.READY else self._log.warning
                how = {"outcome": fact.outcome.value, "cause": fact.cause, "why": shown(fact.why)}
                about = {**_about(fact.launch), "member": fact.member, "seconds": round(fact.seconds, 3)}
                write("canary ended", **about, **how)

    def _own(self, fact: BlindnessChanged | Reconfigured | ConfigurationRefused | LoopFailed) -> None:
        match fact:
            case BlindnessChanged(since, reason):
                if since is None:
                    self._log.info("front door sees its members again", reason=reason)
                else:
                    self._log.error("front door is blind", reason=reason)
            case Reconfigured():
                names = {"added": fact.added, "removed": fact.removed, "changed": fact.changed}
                self._log.info("configuration taken over", **names)
                for notice in fact.notices:
                    self._log.warning("configuration", notice=notice)
            case ConfigurationRefused():
                self._log.error("configuration refused, the running one stays", problems=fact.problems)
            case LoopFailed():
                self._log.error("fault", where=fact.where, exc_info=fact.error)

    def _launch(self, fact: AttemptEnded | LaunchEnded | Chosen | Overdue) -> None:
        match fact:
            case Overdue():
                self._log.warning(
                    "launch stands still",
                    **_about(fact.launch),
                    member=fact.member,
                    attempt=fact.attempt,
                    phase=fact.phase,
                    seconds=round(fact.seconds, 3),
                )
            case AttemptEnded(outcome=Outcome.LOST):
                self._log.warning(
                    "launch lost by member",
                    **_about(fact.launch),
                    member=fact.member,
                    attempt=fact.attempt,
                    cause=fact.cause,
                    why=shown(fact.why),
                    seconds=round(fact.seconds, 3),
                )
            case LaunchEnded():
                self._log.info(
                    "launch ended",
                    **_about(fact.launch),
                    outcome=fact.outcome.value,
                    cause=fact.cause,
                    member=fact.member,
                    attempts=fact.attempts,
                    seconds=round(fact.seconds, 3),
                )
            case Chosen() if self._debug:
                excluded = {one.name: one.reason for one in fact.decision.exclusions}
                self._log.debug("member chosen", member=fact.member, why=fact.decision.why, excluded=excluded)


def http_logger() -> logging.Logger:
    """For the HTTP server's own words. What is no HTTP is the sender's fault: one line, no trace."""
    logger = logging.getLogger("federation.http")
    logger.addFilter(_without_visitors_faults)
    return logger


def _without_visitors_faults(record: logging.LogRecord) -> bool:
    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.exc_info = None
    return True


def _about(launch: Launch) -> dict[str, str]:
    return {"provider": launch.provider, "spec": shown(launch.spec)[:300]}


def _logger(rules: LogRules, stream: _Unfailing) -> Any:
    for_people = rules.format == "console"
    processors: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if for_people:
        processors.append(structlog.dev.ConsoleRenderer(colors=stream.isatty()))
    else:
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    return structlog.wrap_logger(
        structlog.PrintLogger(cast(TextIO, stream)),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[rules.level]),
        cache_logger_on_first_use=False,
    ).bind()
