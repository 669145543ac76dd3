"""mybinder.org's federation-redirect configuration, read as it is. Knows no key of our own files.

Keys that upstream ignores are ignored here too, and so are those that have no counterpart; `notices` say so.
Upstream removes a host without weight; here it stays in sight with weight 0, and takes no launches either.
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from federation.core.model import Member
from federation.core.rules import HealthRules, LaunchRules, Mode, PolicyRules, Settings
from federation.settings.fields import Count, HttpUrl, Name, Weight

Seconds = Annotated[float, Field(gt=0, strict=True)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class UpstreamCheck(_Part):
    """Defaults are those of upstream's program."""

    period: Seconds = 10.0
    jitter: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.1
    retries: Count = 5
    timeout: Seconds = 2.0
    failed_period: Seconds = 300.0


class UpstreamHost(_Part):
    url: HttpUrl | None = None
    weight: Weight | None = None
    health: str | None = None
    versions: str | None = None
    prime: bool = False


class UpstreamFile(_Part):
    """`/etc/federation-redirect/config.json`."""

    check: UpstreamCheck = UpstreamCheck()
    load_balancer: Literal["rendezvous", "random"] = "rendezvous"
    pod_headroom: Annotated[int, Field(ge=0, strict=True)] = 10
    host_cookie_age_hours: float | None = None
    hosts: dict[Name, UpstreamHost | None]


def settings(file: UpstreamFile) -> Settings:
    """The same members, weights, order, headroom and period; upstream redirects, so the mode is redirect.

    Upstream's `retries` are looks a second apart that must all fail: `fall` looks, the later ones in quick
    succession.
    """
    check = file.check
    return Settings(
        members=tuple(
            _member(name, host) for name, host in file.hosts.items() if host is not None and host.url
        ),
        launch=LaunchRules(mode=Mode.REDIRECT),
        policy=PolicyRules(order=file.load_balancer, headroom=file.pod_headroom),
        health=HealthRules(
            interval=check.period,
            timeout=check.timeout,
            fall=check.retries,
            rise=1,
            jitter=check.jitter,
        ),
        notices=tuple(_notices(file)),
    )


def unusable(file: UpstreamFile) -> list[str]:
    """Names of hosts that have a weight but no URL: nothing could be sent there."""
    return [name for name, host in file.hosts.items() if host is not None and host.weight and not host.url]


def _member(name: str, host: UpstreamHost) -> Member:
    url = host.url or ""
    return Member(
        name,
        url,
        host.weight or 0.0,
        health_path=_path(url, host.health, "/health"),
        versions_path=_path(url, host.versions, "/versions"),
    )


def _path(url: str, given: str | None, default: str) -> str:
    """Upstream writes whole URLs; below the host's own URL the path is enough."""
    if not given:
        return default
    if urlsplit(given).scheme:
        return given.removeprefix(url)
    return "/" + given.lstrip("/")


def _notices(file: UpstreamFile) -> list[str]:
    notices = []
    if any(host is not None and host.prime for host in file.hosts.values()):
        notices.append("hosts.*.prime has no effect: this front door serves the pages itself")
    if "failed_period" in file.check.model_fields_set:
        notices.append("check.failed_period has no effect: an ejected member is looked at as often as others")
    if file.host_cookie_age_hours is not None:
        notices.append("host_cookie_age_hours has no effect: no cookie is set")
    return notices
