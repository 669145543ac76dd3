"""What the operator may set, as frozen objects that every floor may hold. Knows no file and no syntax.

All durations are seconds. `federation.settings` is the only maker of these objects from a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from federation.core.model import Member


class Mode(StrEnum):
    """How a launch reaches its member."""

    RELAY = "relay"  # the stream stays on the front door and survives a member
    REDIRECT = "redirect"  # a 307 to the member


@dataclass(frozen=True, slots=True)
class LaunchRules:
    """`timeout` bounds one launch on one member, `stuck_after` a stream without a single byte,
    `connect_timeout` the time until a member accepts a connection; `attempts` is members per launch."""

    mode: Mode = Mode.RELAY
    timeout: float = 600.0
    stuck_after: float = 90.0
    connect_timeout: float = 3.0
    attempts: int = 3


@dataclass(frozen=True, slots=True)
class PolicyRules:
    """`order` is a key of `federation.core.policies.POLICIES`."""

    order: str = "rendezvous"


@dataclass(frozen=True, slots=True)
class HealthRules:
    """`interval` lies between two probes of a member, spread by `jitter` (a share of the interval, half of it
    each way). `fall` bad looks in a row eject a member, `rise` good ones bring it back. A member with
    `headroom` free seats or less counts as full."""

    interval: float = 10.0
    timeout: float = 2.0
    fall: int = 2
    rise: int = 2
    headroom: int = 0
    jitter: float = 0.1


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One launch offered on the page. `repo` and `ref` are as a visitor types them."""

    title: str
    provider: str
    repo: str
    ref: str = "HEAD"
    text: str = ""
    urlpath: str = ""


@dataclass(frozen=True, slots=True)
class LogRules:
    level: str = "info"
    format: str = "console"


@dataclass(frozen=True, slots=True)
class BuildTokenRules:
    """`secret` is shared with all members; without one no tokens are made. `lifetime` is from page to launch."""

    secret: bytes | None = field(default=None, repr=False)
    lifetime: float = 300.0


PAGE_PROVIDERS = ("gh", "gist", "git", "gl", "zenodo", "figshare", "hydroshare", "dataverse", "ckan")


@dataclass(frozen=True, slots=True)
class Settings:
    """One whole, valid configuration of the front door.

    `public_url` has no trailing slash; None means that each request's Host tells. `notices` are sentences
    for the log about keys that were read but have no effect here.
    """

    members: tuple[Member, ...]
    public_url: str | None = None
    title: str = "Binder Federation"
    launch: LaunchRules = field(default_factory=LaunchRules)
    policy: PolicyRules = field(default_factory=PolicyRules)
    health: HealthRules = field(default_factory=HealthRules)
    trusted_proxies: tuple[str, ...] = ()
    build_tokens: BuildTokenRules = field(default_factory=BuildTokenRules)
    providers: tuple[str, ...] = PAGE_PROVIDERS
    suggestions: tuple[Suggestion, ...] = ()
    log: LogRules = field(default_factory=LogRules)
    notices: tuple[str, ...] = ()
