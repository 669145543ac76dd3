"""config/federation.yaml as a model, and that as the frozen `Settings`. Knows no other file."""

from __future__ import annotations

from types import MappingProxyType

from pydantic import Field

from federation.core.model import Member, MemberCosts
from federation.core.rules import (
    PAGE_PROVIDERS,
    ArchiveRules,
    BuildTokenRules,
    CanaryRules,
    CostRules,
    DecisionRules,
    HealthRules,
    IncidentRules,
    LaunchRules,
    LogRules,
    Operator,
    PolicyRules,
    PrometheusRules,
    RefRules,
    Settings,
    Suggestion,
    WaitingRules,
)
from federation.settings.fields import HttpUrl, Name, Network, Section
from federation.settings.sections import (
    ArchiveSection,
    BuildTokenSection,
    CostSection,
    DecisionSection,
    HealthSection,
    IncidentSection,
    LaunchSection,
    LogSection,
    MemberSection,
    OperatorSection,
    PolicySection,
    PrometheusSection,
    ProviderId,
    RefSection,
    SuggestionSection,
    WaitingSection,
)


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
    waiting: WaitingSection = WaitingSection()
    """Where launches wait when no member has a seat."""
    prometheus: PrometheusSection = PrometheusSection()
    """Where signals about the members come from."""
    refs: RefSection = RefSection()
    """How branches and tags become commits."""
    decisions: DecisionSection = DecisionSection()
    """What is remembered of why a launch went where it went."""
    state_folder: str | None = None
    """What operators set, incidents, history and the archive; null: beside this file, NAME.state for NAME.yaml."""
    operators: dict[Name, OperatorSection] = Field(default_factory=dict)
    """Who may see more than the public, and change members."""
    incidents: IncidentSection = IncidentSection()
    """When an incident is opened without a person."""
    archive: ArchiveSection = ArchiveSection()
    """The public record of launches."""
    costs: CostSection = CostSection()
    """What launches cost."""
    view_file: str | None = None
    """A file that keeps the last view of the members over a restart; null: none."""
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
            Member(
                name,
                member.url,
                member.weight,
                member.seats,
                prometheus=member.prometheus,
                costs=None if member.costs is None else MemberCosts(**member.costs.model_dump()),
            )
            for name, member in file.members.items()
            if member is not None
        ),
        public_url=file.public_url,
        title=file.title,
        launch=LaunchRules(**file.launch.model_dump()),
        policy=_policy_rules(file.policy),
        health=_health(file.health),
        waiting=WaitingRules(**file.waiting.model_dump()),
        prometheus=_prometheus(file.prometheus),
        refs=RefRules(**file.refs.model_dump()),
        decisions=DecisionRules(**file.decisions.model_dump()),
        state_folder=file.state_folder,
        operators=tuple(
            Operator(name, operator.role, operator.tokens) for name, operator in file.operators.items()
        ),
        incidents=IncidentRules(**file.incidents.model_dump()),
        archive=ArchiveRules(**file.archive.model_dump()),
        costs=CostRules(**file.costs.model_dump()),
        view_file=file.view_file,
        trusted_proxies=file.trusted_proxies,
        build_tokens=_build_tokens(file.build_tokens),
        providers=tuple(dict.fromkeys(file.providers)),
        suggestions=tuple(Suggestion(**suggestion.model_dump()) for suggestion in file.suggestions),
        log=LogRules(**file.log.model_dump()),
    )


def _policy_rules(section: PolicySection) -> PolicyRules:
    headroom = None if section.headroom == "auto" else section.headroom
    return PolicyRules(section.order, section.balance_factor, headroom)


def _health(section: HealthSection) -> HealthRules:
    canary = section.canary
    return HealthRules(
        **section.model_dump(exclude={"canary"}),
        canary=None if canary is None else CanaryRules(canary.spec, canary.every),
    )


def _prometheus(section: PrometheusSection) -> PrometheusRules:
    return PrometheusRules(
        **section.model_dump(exclude={"token", "queries"}),
        token=None if section.token is None else section.token.get_secret_value(),
        queries=MappingProxyType(dict(section.queries)),
    )


def _build_tokens(section: BuildTokenSection) -> BuildTokenRules:
    secret = section.secret
    return BuildTokenRules(
        None if secret is None else bytes.fromhex(secret.get_secret_value()), section.lifetime
    )
