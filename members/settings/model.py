"""The shape of config/member.yaml, key by key. Knows no file.

Defaults stand here and, for people, in config/member.yaml; a test holds the two together.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    create_model,
    field_validator,
)

from members.providers import KINDS
from members.providers.base import Kind, ProviderConfig
from members.providers.fields import Duration, Folder, Size


class Section(BaseModel):
    """Immutable, and no key that is not here."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _base_url(text: str) -> str:
    if not re.fullmatch(r"/([A-Za-z0-9._~-]+/)*[A-Za-z0-9._~-]*", text):
        raise ValueError("expected a path that starts with /, such as / or /binder/")
    return text if text.endswith("/") else text + "/"


def _public_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("expected an http or https URL without query, such as https://hub.example.org/")
    return text if text.endswith("/") else text + "/"


def _origin(text: str) -> str:
    if text not in ("", "*") and not re.fullmatch(r"https?://[^/\s]+", text):
        raise ValueError('expected "*", "" or an origin such as https://example.org')
    return text


_CLEARED = ("builds", "sessions", "unpacking", "images", "hub")  # what a member makes in its state_dir
PublicUrl = Annotated[str, AfterValidator(_public_url)]
Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1)]
Limit = Annotated[int, Field(ge=0)] | None


class Images(Section):
    """`images`. Validated anew as a default, so that its folder becomes absolute too."""

    model_config = ConfigDict(revalidate_instances="always")

    store: Annotated[Folder, Field(validate_default=True)] = Path("../.binder-federation/images")


class Build(Section):
    """`build`."""

    cache: Folder | None = None
    concurrent: Count = 2
    timeout: Duration = 20 * 60.0
    memory: Size = 4 * 1024**3
    output: Size = 20 * 1024**2
    disk: Size = 4 * 1024**3


class Sessions(Section):
    """`sessions`."""

    max: Limit = 10
    per_repository: Limit = None
    per_repository_higher: Limit = None
    memory: Size = 8 * 1024**3
    launch_timeout: Duration = 5 * 60.0
    launch_attempts: Annotated[int, Field(ge=1, le=10)] = 2
    idle_timeout: Duration = 10 * 60.0
    max_age: Duration = 6 * 3600.0


class Hub(Section):
    """`hub`."""

    port: Port = 8000
    url: PublicUrl | None = None


class Log(Section):
    """`log`."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


if TYPE_CHECKING:
    Providers = BaseModel
else:  # one key for every row of the table of providers; null switches one off
    Providers = create_model(
        "Providers", __base__=Section, **{kind.id: (kind.config | None, kind.config()) for kind in KINDS}
    )


class Settings(Section):
    """config/member.yaml as a whole."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")] = "member"
    host: str = "127.0.0.1"
    port: Port = 8585
    base_url: Annotated[str, AfterValidator(_base_url)] = "/"
    launch_host: PublicUrl | None = None
    cors_allow_origin: Annotated[str, AfterValidator(_origin)] = "*"
    state_dir: Annotated[Folder, Field(validate_default=True)] = Path("../.binder-federation/member")
    image_prefix: Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9._:/-]*$")] = ""
    runtime: Literal["process"] = "process"
    isolation: Literal["auto", "bubblewrap", "none"] = "auto"
    images: Annotated[Images, Field(validate_default=True)] = Images()
    providers: Providers = Field(default_factory=Providers)
    build: Build = Build()
    sessions: Sessions = Sessions()
    hub: Annotated[Hub, Field(validate_default=True)] = Hub()
    log: Log = Log()

    @field_validator("host")
    @classmethod
    def _loopback(cls, host: str) -> str:
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
        return hub

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
