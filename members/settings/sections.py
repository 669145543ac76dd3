"""The sections of config/member.yaml that every runtime has. Knows no file.

Defaults stand here and, for people, in config/member.yaml; a test holds the two together.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

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


BaseUrl = Annotated[str, AfterValidator(_base_url)]
Origin = Annotated[str, AfterValidator(_origin)]
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
    pids: Annotated[int, Field(ge=16)] = 4096
    layer: Size = 20 * 1024**3
    silence: Duration = 2 * 60.0
    buildpacks: Literal["stock", "venv"] = "stock"
    base_image: str | None = None
    appendix: str = ""
    repo2docker_args: tuple[str, ...] = ()


class Sessions(Section):
    """`sessions`."""

    max: Limit = 10
    per_repository: Limit = None
    per_repository_higher: Limit = None
    memory: Size | None = None
    cpu: Annotated[float, Field(gt=0)] | None = None
    pids: Annotated[int, Field(ge=16)] = 512
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
