"""The sections of config/member.yaml that only the docker runtime reads. Knows no file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from members.providers.fields import Duration, Folder, WebUrl
from members.settings.sections import Section


class Docker(Section):
    """`docker`."""

    host: str | None = None
    network: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{1,62}$")] | None = None

    @field_validator("host")
    @classmethod
    def _socket(cls, host: str | None) -> str | None:
        if host is not None and not host.startswith("unix:///"):
            raise ValueError(
                "expected the engine's socket on this machine, such as unix:///var/run/docker.sock"
            )
        return host


class Registry(Section):
    """`registry`. Without a URL the images stay on this member's engine."""

    kind: Literal["distribution", "google", "helper"] = "distribution"
    url: WebUrl | None = None
    cache: WebUrl | None = None
    docker_config: Folder | None = None
    username: str | None = None
    password: SecretStr | None = None
    token_url: WebUrl | None = None
    helper_token: SecretStr | None = None
    timeout: Duration = 10.0
