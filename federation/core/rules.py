"""What the operator may set, as frozen objects that every floor may hold. Knows no file and no syntax.

All durations are seconds. `federation.settings` is the only maker of these objects from a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from federation.core.model import Member, nothing


class Mode(StrEnum):
    """How a launch reaches its member."""

    RELAY = "relay"  # the stream stays on the front door and survives a member
    REDIRECT = "redirect"  # a 307 to the member


@dataclass(frozen=True, slots=True)
class LaunchRules:
    """`timeout` bounds one launch on one member, `connect_timeout` the time until a member accepts a connection.
    `stuck_after` is how long a launch may stand still before another member is started beside it, as long as
    nothing is known of how long this member usually takes. `attempts` is members per launch; `retry_budget`
    how many further attempts the whole federation makes for each launch, as a share."""

    mode: Mode = Mode.RELAY
    timeout: float = 600.0
    stuck_after: float = 90.0
    connect_timeout: float = 3.0
    attempts: int = 3
    retry_budget: float = 0.2


@dataclass(frozen=True, slots=True)
class PolicyRules:
    """`order` is a key of `federation.core.policies.POLICIES`. A member whose load exceeds its fair share by more
    than `balance_factor` is passed over. `headroom` free seats are left alone; None: as many as launches may come
    from elsewhere before the member's numbers show them."""

    order: str = "rendezvous"
    balance_factor: float = 1.25
    headroom: int | None = None


@dataclass(frozen=True, slots=True)
class CanaryRules:
    """A launch of ours of the repository `spec`, for a member that had no launch for `every` seconds."""

    spec: str
    every: float = 600.0


@dataclass(frozen=True, slots=True)
class HealthRules:
    """`interval` lies between two probes of a member, spread by `jitter` (a share of the interval, half of it
    each way). `fall` bad looks in a row eject a member, `rise` good ones bring it back. An ejection lasts for
    `eject_base` seconds at least, twice as long each further time, up to `eject_max`; after it the share grows
    for `slow_start` seconds. A member may run other versions than most for `version_grace` seconds."""

    interval: float = 10.0
    timeout: float = 2.0
    fall: int = 2
    rise: int = 2
    eject_base: float = 10.0
    eject_max: float = 300.0
    slow_start: float = 120.0
    version_grace: float = 7200.0
    canary: CanaryRules | None = None
    jitter: float = 0.1


@dataclass(frozen=True, slots=True)
class WaitingRules:
    """The room for launches that no member has a seat for: how many wait, for how many seconds at most, and how
    many of one visitor's address. 0 places: there is no room."""

    places: int = 500
    timeout: float = 600.0
    per_visitor: int = 100


@dataclass(frozen=True, slots=True)
class PrometheusRules:
    """Where signals about members come from. `url` is a Prometheus that knows all members, `selector` picks one
    of them in it (`%(member)s` is its name). `queries` are PromQL by signal, `%(selector)s` being the inside of
    the braces. Without any `url` a member's own `/metrics` is read, unless `scrape` is off. Signals older than
    `max_age` seconds count as none."""

    url: str | None = None
    selector: str = 'member="%(member)s"'
    interval: float = 15.0
    timeout: float = 5.0
    max_age: float = 180.0
    scrape: bool = True
    token: str | None = field(default=None, repr=False)
    queries: Mapping[str, str] = field(default_factory=nothing)


@dataclass(frozen=True, slots=True)
class RefRules:
    """Whether the front door asks git hosts what a ref means. It asks public addresses only, unless `allow_private`;
    `file_roots` are folders whose repositories it may read."""

    resolve: bool = True
    allow_private: bool = False
    file_roots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DecisionRules:
    """How many decisions are remembered, and the file that each is written to as a line of JSON."""

    keep: int = 2000
    file: str | None = None


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


class Role(StrEnum):
    """What an operator's token allows."""

    VIEWER = "viewer"  # to read what is not public
    OPERATOR = "operator"  # to change members as well


@dataclass(frozen=True, slots=True)
class Operator:
    """A person or program that may see or steer more than the public. `digests` are of its tokens: SHA-256 in
    hexadecimal. There may be two of them while one takes the other's place."""

    name: str
    role: Role
    digests: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class IncidentRules:
    """When an incident is opened without a person: a member has been out for `member_out` seconds, or the share of
    launches that did not fail by the federation's fault fell below `success_below`, among `fewest` launches or more
    of the last `window` seconds."""

    member_out: float = 60.0
    success_below: float = 0.9
    window: float = 600.0
    fewest: int = 10


@dataclass(frozen=True, slots=True)
class ArchiveRules:
    """The public archive of launches, one file a day. `folder` None: below the state folder. `keep` is in days, None
    keeps all. `serve` tells whether this front door serves the files itself."""

    folder: str | None = None
    keep: int | None = None
    serve: bool = True


@dataclass(frozen=True, slots=True)
class CostRules:
    """`currency` is that of all figures of costs; `pace` tells whether a member with a cap gets fewer launches the
    nearer its donors' money comes to its end."""

    currency: str = "USD"
    pace: bool = True


PAGE_PROVIDERS = ("gh", "gist", "git", "gl", "zenodo", "figshare", "hydroshare", "dataverse", "ckan")


@dataclass(frozen=True, slots=True)
class Settings:
    """One whole, valid configuration of the front door.

    `public_url` has no trailing slash; None means that each request's Host tells. `state_folder` is where what
    operators set, incidents, history and the archive are kept; None: in memory only. `view_file` keeps the last view
    of the members over a restart. `notices` are sentences for the log about keys that were read but have
    no effect here.
    """

    members: tuple[Member, ...]
    public_url: str | None = None
    title: str = "Binder Federation"
    launch: LaunchRules = field(default_factory=LaunchRules)
    policy: PolicyRules = field(default_factory=PolicyRules)
    health: HealthRules = field(default_factory=HealthRules)
    waiting: WaitingRules = field(default_factory=WaitingRules)
    prometheus: PrometheusRules = field(default_factory=PrometheusRules)
    refs: RefRules = field(default_factory=RefRules)
    decisions: DecisionRules = field(default_factory=DecisionRules)
    state_folder: str | None = None
    operators: tuple[Operator, ...] = ()
    incidents: IncidentRules = field(default_factory=IncidentRules)
    archive: ArchiveRules = field(default_factory=ArchiveRules)
    costs: CostRules = field(default_factory=CostRules)
    view_file: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    build_tokens: BuildTokenRules = field(default_factory=BuildTokenRules)
    providers: tuple[str, ...] = PAGE_PROVIDERS
    suggestions: tuple[Suggestion, ...] = ()
    log: LogRules = field(default_factory=LogRules)
    notices: tuple[str, ...] = ()
