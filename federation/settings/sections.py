"""The sections of config/federation.yaml as models: keys, defaults, and what each may hold. Knows no whole file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from federation.core.errors import LaunchError
from federation.core.launchkey import parse_spec
from federation.core.policies import POLICIES
from federation.core.providers import BY_ID
from federation.core.rules import Mode, Role
from federation.core.signals import SIGNALS
from federation.settings.fields import (
    Count,
    Duration,
    HexSecret,
    HttpUrl,
    Money,
    Secret,
    Section,
    TokenDigest,
    Weight,
)


def _policy(name: str) -> str:
    if name not in POLICIES:
        raise ValueError(f"one of {', '.join(POLICIES)}")
    return name


def _provider(name: str) -> str:
    if name not in BY_ID:
        raise ValueError(f"one of {', '.join(BY_ID)}")
    return name


def _signal(name: str) -> str:
    if name not in SIGNALS:
        raise ValueError(f"one of {', '.join(SIGNALS)}")
    return name


def _headroom(value: Any) -> Any:
    if value == "auto" or (type(value) is int and value >= 0):
        return value
    raise ValueError("auto, or a number of seats from 0")


def _spec(text: str) -> str:
    try:
        parse_spec(text)
    except LaunchError as error:
        raise ValueError(f"a launch, written provider/…/ref ({error})") from error
    return text


Spec = Annotated[str, AfterValidator(_spec)]
Headroom = Annotated[Literal["auto"] | Annotated[int, Field(ge=0)], BeforeValidator(_headroom)]
SignalName = Annotated[str, AfterValidator(_signal)]
Policy = Annotated[str, AfterValidator(_policy), Field(json_schema_extra={"enum": list(POLICIES)})]
ProviderId = Annotated[str, AfterValidator(_provider), Field(json_schema_extra={"enum": list(BY_ID)})]


class LaunchSection(Section):
    mode: Mode = Mode.RELAY
    """relay: the stream stays here and survives a member; redirect: a 307 to the member."""
    timeout: Duration = 600.0
    """Of one launch on one member."""
    stuck_after: Duration = 90.0
    """A launch that stands still for so long is tried elsewhere too; sooner where a member is usually faster."""
    connect_timeout: Duration = 3.0
    """Until a member accepts the connection."""
    attempts: Annotated[Count, Field(le=20)] = 3
    """Members tried for one launch."""
    retry_budget: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.2
    """Further attempts for each launch, over the whole federation; ten a minute are always granted."""


class PolicySection(Section):
    order: Policy = "rendezvous"
    """rendezvous: a repository keeps its member; random: weighted dice."""
    balance_factor: Annotated[float, Field(ge=1, le=10, strict=True)] = 1.25
    """A member with more than so many times its fair share of the load is passed over."""
    headroom: Headroom = "auto"
    """Seats of each member that are left alone; auto: as many as others may take before its numbers show it."""


class CanarySection(Section):
    spec: Spec
    """What is launched, as in a launch link: provider/…/ref. Its server is not used, and asked to end itself."""
    every: Duration = 600.0
    """A member without a launch for so long gets one of ours."""


class HealthSection(Section):
    interval: Duration = 10.0
    """Between two probes of a member, with 10 % jitter."""
    timeout: Duration = 2.0
    """Of one probe."""
    fall: Count = 2
    """Failed probes in a row that eject a member."""
    rise: Count = 2
    """Good probes in a row that bring it back."""
    eject_base: Duration = 10.0
    """An ejected member is left alone for so long at least, twice as long each further time."""
    eject_max: Duration = 300.0
    """The longest it is left alone."""
    slow_start: Duration = 120.0
    """After an ejection the share grows for so long until it is whole."""
    version_grace: Duration = 7200.0
    """A member may run other versions than most members for so long."""
    canary: CanarySection | None = None
    """A launch of our own for members that had none for a while; null: none."""


class WaitingSection(Section):
    places: Annotated[int, Field(ge=0, le=100_000, strict=True)] = 500
    """Launches that may wait for a seat when no member has one; 0: none waits."""
    timeout: Duration = 600.0
    """The longest that a launch waits."""
    per_visitor: Count = 100
    """Launches of one address that may wait."""


class PrometheusSection(Section):
    url: HttpUrl | None = None
    """A Prometheus that knows all members; null: each member's own, if it has one."""
    selector: str = 'member="%(member)s"'
    """What picks one member's series there, as inside PromQL's braces; %(member)s is its name."""
    interval: Duration = 15.0
    """Between two rounds of questions."""
    timeout: Duration = 5.0
    """Of one question."""
    max_age: Duration = 180.0
    """Signals older than this count as none."""
    scrape: Annotated[bool, Field(strict=True)] = True
    """Read a member's own /metrics where there is no Prometheus."""
    token: Secret | None = None
    """Sent as bearer token to the Prometheus of `url`, or ${NAME} of the environment."""
    queries: dict[SignalName, str] = Field(default_factory=dict)
    """PromQL by signal, in place of the defaults; %(selector)s is the selector."""


class RefSection(Section):
    resolve: Annotated[bool, Field(strict=True)] = True
    """Ask git hosts which commit a branch or tag means, so that all launches of it are known for the same."""
    allow_private: Annotated[bool, Field(strict=True)] = False
    """Ask hosts with private addresses as well: visitors choose the host."""
    file_roots: tuple[str, ...] = ()
    """Folders whose repositories may be read through file://."""


class DecisionSection(Section):
    keep: Annotated[int, Field(ge=0, le=1_000_000, strict=True)] = 2000
    """Decisions that are remembered for /federation/v1/decisions."""
    file: str | None = None
    """A file to which each decision is written as a line of JSON; null: none."""


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


class OperatorSection(Section):
    role: Role = Role.OPERATOR
    """viewer: reads what is not public; operator: changes members as well."""
    tokens: Annotated[tuple[TokenDigest, ...], Field(min_length=1)]
    """Digests of the tokens that let in, as `binder-federation token` prints them; two while one replaces the other."""


class IncidentSection(Section):
    member_out: Duration = 60.0
    """A member that is out for so long opens an incident."""
    success_below: Annotated[float, Field(gt=0, le=1, strict=True)] = 0.9
    """A share of launches without a fault of the federation below this opens one."""
    window: Duration = 600.0
    """The time over which that share is taken."""
    fewest: Count = 10
    """Launches in that time that say anything."""


class ArchiveSection(Section):
    folder: str | None = None
    """Where the daily files are written; null: `archive` in the state folder."""
    keep: Count | None = None
    """Days that files are kept; null: for ever."""
    serve: Annotated[bool, Field(strict=True)] = True
    """Offer the files at /archive/."""


class CostSection(Section):
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"
    """Of all figures of costs."""
    pace: Annotated[bool, Field(strict=True)] = True
    """Send a member fewer launches the nearer its cap of the month comes."""


class MemberCostSection(Section):
    monthly: Money | None = None
    """What the member costs a month, where its provider exports nothing better."""
    exports: str | None = None
    """A folder with its provider's cost exports: report-*.csv, billing-*.json."""
    cap: Money | None = None
    """What its donors give a month at most; null: no end."""


class MemberSection(Section):
    url: HttpUrl
    """Base URL of the member's BinderHub."""
    weight: Weight = 1.0
    """Share of launches, in any unit; 0 sends it none."""
    seats: Annotated[int, Field(ge=0, strict=True)] | None = None
    """Sessions it may run; null: what its /health tells."""
    prometheus: HttpUrl | None = None
    """The member's own Prometheus."""
    costs: MemberCostSection | None = None
    """What it costs, and what its donors give."""


class LogSection(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines that are written."""
    format: Literal["console", "json"] = "console"
    """console: for people; json: one object a line."""
