"""The whole of config/member.yaml. Knows no file; its sections are in the modules beside this one."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    BaseModel,
    Field,
    ValidationInfo,
    create_model,
    field_validator,
)

from members.core import imageref
from members.providers import KINDS
from members.providers.base import Kind, ProviderConfig
from members.providers.fields import Folder
from members.settings.access import Auth, BuildTokens, Network, RateLimit
from members.settings.docker import Docker, Registry
from members.settings.sections import (
    BaseUrl,
    Build,
    Hub,
    Images,
    Log,
    Origin,
    Port,
    PublicUrl,
    Section,
    Sessions,
)

_CLEARED = ("builds", "sessions", "unpacking", "images", "hub")  # what a member makes in its state_dir


if TYPE_CHECKING:
    Providers = BaseModel
else:  # one key for every row of the table of providers; null switches one off
    Providers = create_model(
        "Providers", __base__=Section, **{kind.id: (kind.config | None, kind.config()) for kind in KINDS}
    )


class Settings(Section):
    """config/member.yaml as a whole."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")] = "member"
    runtime: Literal["process", "docker"] = "process"
    host: str = "127.0.0.1"
    port: Port = 8585
    base_url: BaseUrl = "/"
    launch_host: PublicUrl | None = None
    cors_allow_origin: Origin = "*"
    state_dir: Annotated[Folder, Field(validate_default=True)] = Path("../.binder-federation/member")
    image_prefix: Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9._:/-]*$")] = ""
    isolation: Literal["auto", "bubblewrap", "none"] = "auto"
    images: Annotated[Images, Field(validate_default=True)] = Images()
    docker: Docker = Docker()
    registry: Registry = Registry()
    providers: Providers = Field(default_factory=Providers)
    build: Build = Build()
    sessions: Sessions = Sessions()
    hub: Annotated[Hub, Field(validate_default=True)] = Hub()
    build_tokens: BuildTokens = BuildTokens()
    rate_limit: RateLimit = RateLimit()
    ban_networks: dict[Network, str] = Field(default_factory=dict)
    trusted_proxies: tuple[Network, ...] = ("127.0.0.0/8", "::1/128")
    api_only: bool = False
    auth: Auth = Auth()
    event_log: Folder | None = None
    log: Log = Log()

    @field_validator("host")
    @classmethod
    def _loopback(cls, host: str, info: ValidationInfo) -> str:
        if info.data.get("runtime") != "process":
            return host
        try:
            loopback = ipaddress.ip_address(host).is_loopback
        except ValueError:
            loopback = host == "localhost"
        if not loopback:
            raise ValueError("this runtime serves this machine alone: expected 127.0.0.1, ::1 or localhost")
        return host

    @field_validator("hub")
    @classmethod
    def _another_port(cls, hub: Hub, info: ValidationInfo) -> Hub:
        if hub.port == info.data.get("port"):
            raise ValueError(f"port {hub.port} is the member's own: expected another one")
        if hub.url is None and info.data.get("host") in ("0.0.0.0", "::"):
            raise ValueError(
                "url: visitors cannot follow a link to every address: expected the hub's public URL"
            )
        return hub

    @field_validator("registry")
    @classmethod
    def _where_names_lead(cls, registry: Registry, info: ValidationInfo) -> Registry:
        """An engine pushes an image where its name says, so name and registry must agree."""
        prefix = info.data.get("image_prefix")
        if info.data.get("runtime") != "docker" or prefix is None or registry.url is None:
            return registry
        hub = imageref.host_of(registry.url) == imageref.HUB
        named = imageref.parse(f"{prefix}x")
        if registry.kind == "helper" or ((named.host == imageref.HUB) is hub and "/" in prefix):
            return registry
        example = "account/binder-" if hub else f"{imageref.host_of(registry.url)}/binder-"
        raise ValueError(
            f"image_prefix is {prefix!r}, and engines push where an image's name leads: "
            f"expected an image_prefix such as {example}"
        )

    @field_validator("images")
    @classmethod
    def _outlives_the_member(cls, images: Images, info: ValidationInfo) -> Images:
        state_dir = info.data.get("state_dir")
        if state_dir is not None and any(images.store.is_relative_to(state_dir / name) for name in _CLEARED):
            raise ValueError("a member clears this folder: expected a store outside of its state_dir")
        return images

    def enabled_providers(self) -> tuple[tuple[Kind, ProviderConfig], ...]:
        """The rows that are switched on, each with its configuration, in the table's order."""
        rows = ((kind, getattr(self.providers, kind.id)) for kind in KINDS)
        return tuple((kind, config) for kind, config in rows if config is not None and config.enabled)

    @property
    def cache_dir(self) -> Path:
        """Where builds keep what they have downloaded."""
        return self.build.cache or self.images.store.parent / "cache"

    @property
    def hub_url(self) -> str:
        """The hub's public URL, with trailing slash."""
        return self.hub.url or f"http://{_netloc(self.host, self.hub.port)}/"

    @property
    def url(self) -> str:
        """Where this member itself answers, base URL included."""
        return f"http://{_netloc(self.host, self.port)}{self.base_url}"


def _netloc(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
