"""config/federation.yaml as models, and those as the frozen `Settings`. Knows no other file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from federation.core.model import Member
from federation.core.policies import POLICIES
from federation.core.providers import BY_ID
from federation.core.rules import (
    PAGE_PROVIDERS,
    BuildTokenRules,
    HealthRules,
    LaunchRules,
    LogRules,
    Mode,
    PolicyRules,
    Settings,
    Suggestion,
)
from federation.settings.fields import Count, Duration, HexSecret, HttpUrl, Name, Network, Section, Weight


def _policy(name: str) -> str:
    if name not in POLICIES:
        raise ValueError(f"one of {', '.join(POLICIES)}")
    return name


def _provider(name: str) -> str:
    if name not in BY_ID:
        raise ValueError(f"one of {', '.join(BY_ID)}")
    return name


Policy = Annotated[str, AfterValidator(_policy), Field(json_schema_extra={"enum": list(POLICIES)})]
ProviderId = Annotated[str, AfterValidator(_provider), Field(json_schema_extra={"enum": list(BY_ID)})]


class LaunchSection(Section):
    mode: Mode = Mode.RELAY
    """relay: the stream stays here and survives a member; redirect: a 307 to the member."""
    timeout: Duration = 600.0
    """Of one launch on one member."""
    stuck_after: Duration = 90.0
    """A member's stream without a single byte for so long is given up."""
    connect_timeout: Duration = 3.0
    """Until a member accepts the connection."""
    attempts: Annotated[Count, Field(le=20)] = 3
    """Members tried for one launch."""


class PolicySection(Section):
    order: Policy = "rendezvous"
    """rendezvous: a repository keeps its member; random: weighted dice."""


class HealthSection(Section):
    interval: Duration = 10.0
    """Between two probes of a member, with 10 % jitter."""
    timeout: Duration = 2.0
    """Of one probe."""
    fall: Count = 2
    """Failed probes in a row that eject a member."""
    rise: Count = 2
    """Good probes in a row that bring it back."""
    headroom: Annotated[int, Field(ge=0, strict=True)] = 0
    """A member with so few free seats or less counts as full."""


class BuildTokenSection(Section):
    secret: HexSecret | None = None
    """The same in the whole federation, hexadecimal, or ${NAME} of the environment; null: no tokens are made."""
    lifetime: Duration = 300.0
    """From the page to its launch."""


class SuggestionSection(Section):
    title: str
    """Shown as the name of the launch."""
    provider: ProviderId
    """The kind of repository."""
    repo: str
    """The repository, as a visitor would type it."""
    ref: str = "HEAD"
    """Branch, tag or commit."""
    text: str = ""
    """A sentence about it."""
    urlpath: str = ""
    """Where the browser goes inside the server."""


class MemberSection(Section):
    url: HttpUrl
    """Base URL of the member's BinderHub."""
    weight: Weight = 1.0
    """Share of launches, in any unit; 0 sends it none."""
    seats: Annotated[int, Field(ge=0, strict=True)] | None = None
    """Sessions it may run; null: what its /health tells."""


class LogSection(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines that are written."""
    format: Literal["console", "json"] = "console"
    """console: for people; json: one object a line."""


class FrontDoorFile(Section):
    """The configuration of a front door."""

    public_url: HttpUrl | None = None
    """Of this front door, as visitors type it; null: taken from each request's Host."""
    title: str = "Binder Federation"
    """Shown on the pages."""
    launch: LaunchSection = LaunchSection()
    """How a launch is sent to members."""
    policy: PolicySection = PolicySection()
    """In which order members are tried."""
    health: HealthSection = HealthSection()
    """When a member counts as well."""
    trusted_proxies: tuple[Network, ...] = ()
    """Networks whose X-Forwarded-* headers are believed."""
    build_tokens: BuildTokenSection = BuildTokenSection()
    """What tells members that a launch began on a page of ours, so that they do not count it."""
    providers: tuple[ProviderId, ...] = PAGE_PROVIDERS
    """Kinds of repository offered on the page."""
    suggestions: tuple[SuggestionSection, ...] = ()
    """Launches offered on the page."""
    members: dict[Name, MemberSection | None]
    """Who takes launches, by name; null removes a member."""
    log: LogSection = LogSection()
    """What is written to standard error."""


def settings(file: FrontDoorFile) -> Settings:
    """The models as the objects that the other floors hold."""
    return Settings(
        members=tuple(
            Member(name, member.url, member.weight, member.seats)
            for name, member in file.members.items()
            if member is not None
        ),
        public_url=file.public_url,
        title=file.title,
        launch=LaunchRules(**file.launch.model_dump()),
        policy=PolicyRules(**file.policy.model_dump()),
        health=HealthRules(**file.health.model_dump()),
        trusted_proxies=file.trusted_proxies,
        build_tokens=_build_tokens(file.build_tokens),
        providers=tuple(dict.fromkeys(file.providers)),
        suggestions=tuple(Suggestion(**suggestion.model_dump()) for suggestion in file.suggestions),
        log=LogRules(**file.log.model_dump()),
    )


def _build_tokens(section: BuildTokenSection) -> BuildTokenRules:
    secret = section.secret
    return BuildTokenRules(
        None if secret is None else bytes.fromhex(secret.get_secret_value()), section.lifetime
    )
