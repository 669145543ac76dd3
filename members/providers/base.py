"""What all providers have in common. Knows no kind of repository."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import aiohttp
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from members.core.facts import Tell
from members.core.model import Resolved, SpecError
from members.providers.fields import Duration

LONGEST_SPEC = 2000  # characters; longer ones are nobody's repository
_FULL_SHA = re.compile(r"[0-9a-f]{40}")
_CONTROL = re.compile(r"[\x00-\x20\x7f\\]")


def _pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"expected a regular expression, but {pattern!r} is none: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_pattern)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SpecSettings(_Strict):
    """What `spec_config` can change for a spec. `quota` is the limit of one repository; null is no limit."""

    quota: Annotated[int, Field(ge=0)] | None


class SpecRule(_Strict):
    """One item of `spec_config`."""

    pattern: Pattern
    config: SpecSettings


class ProviderConfig(_Strict):
    """What an operator can say about any provider, in BinderHub's names. The patterns are regular expressions
    matched at a spec's beginning, without regard to case; of several `spec_config` that match, the last decides."""

    enabled: bool = False
    banned_specs: tuple[Pattern, ...] = ()
    allowed_specs: tuple[Pattern, ...] = ()
    high_quota_specs: tuple[Pattern, ...] = ()
    spec_config: tuple[SpecRule, ...] = ()


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
