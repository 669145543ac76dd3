"""What all providers have in common. Knows no kind of repository."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
from pydantic import BaseModel, ConfigDict, field_validator

from members.core.facts import Tell
from members.core.model import Resolved, SpecError
from members.providers.fields import Duration

LONGEST_SPEC = 2000  # characters; longer ones are nobody's repository
_FULL_SHA = re.compile(r"[0-9a-f]{40}")
_CONTROL = re.compile(r"[\x00-\x20\x7f\\]")


class ProviderConfig(BaseModel):
    """What an operator can say about any provider. The patterns are BinderHub's `banned_specs` and
    `allowed_specs`: regular expressions matched at a spec's beginning, without regard to case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = False
    banned_specs: tuple[str, ...] = ()
    allowed_specs: tuple[str, ...] = ()

    @field_validator("banned_specs", "allowed_specs")
    @classmethod
    def _patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"expected regular expressions, but {pattern!r} is none: {error}") from error
        return patterns


class WebConfig(ProviderConfig):
    """What an operator can say about any provider that asks a web service."""

    timeout: Duration = 20.0  # of one question, its redirects and body included


@dataclass(frozen=True, slots=True)
class Tools:
    """What a provider may use of the world besides its own processes.

    `http` reaches every address and is for URLs from the configuration; `public` reaches public addresses only
    and is for URLs in which a visitor, or a server that a visitor chose, had a hand.
    """

    http: aiohttp.ClientSession
    public: aiohttp.ClientSession
    tell: Tell


class Resolver(Protocol):
    """A provider at work; see `members.service.ports.Provider`, which this is the lower side of."""

    id: str
    name: str
    head_fallback: bool

    async def resolve(self, spec: str) -> Resolved | None: ...

    def display(self) -> dict[str, object]: ...


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table of providers: its id in specs, its configuration, and how to make it."""

    id: str
    config: type[ProviderConfig]
    make: Callable[[Any, Tools], Resolver]


def is_full_sha(ref: str) -> bool:
    return _FULL_SHA.fullmatch(ref) is not None


def checked_spec(spec: str, expected: str) -> str:
    """The spec itself, if it can be one at all. Raises SpecError."""
    if len(spec) > LONGEST_SPEC:
        raise SpecError(f"This spec is {len(spec)} characters long; at most {LONGEST_SPEC} are accepted.")
    if _CONTROL.search(spec):
        raise SpecError(f"{spec!r} contains a blank or control character; expected {expected}.")
    return spec


def checked_ref(ref: str) -> str:
    """The decoded ref, if git could have one of this name. Raises SpecError.

    The rules are those of git-check-ref-format that matter for safety: no option, no `..`, no control
    character, and nothing that a URL or a ref pattern would read as more than a name.
    """
    if not ref:
        raise SpecError("The ref is missing; expected a branch, tag or commit, such as HEAD.")
    if ref.startswith(("-", "/")) or ".." in ref or _CONTROL.search(ref) or set(ref) & set("?*[~^:#"):
        raise SpecError(f"{ref!r} is not a valid ref; expected a branch, tag or commit, such as HEAD.")
    return ref
