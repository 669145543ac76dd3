"""The sections of config/member.yaml that only the docker runtime reads. Knows no file."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from members.providers.fields import Duration, Folder, Size, WebUrl
from members.settings.sections import Section


def _token_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^/\s?#@]+(/[^\s#]*)?", url):
        raise ValueError(
            "expected an http or https URL, such as https://auth.example.org/token?service=registry"
        )
    return url


TokenUrl = Annotated[str, AfterValidator(_token_url)]


class Docker(Section):
    """`docker`."""

    host: str | None = None
    network: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{1,62}$")] | None = None
    images: Size | None = 40 * 1024**3
    build_cache: Size | None = 20 * 1024**3

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
    token_url: TokenUrl | None = None
    helper_token: SecretStr | None = None
    not_found_401: bool | None = None
    timeout: Duration = 10.0

    @model_validator(mode="after")
    def _complete(self) -> Registry:
        fields = type(self).model_fields
        given = [key for key, field in fields.items() if getattr(self, key) != field.default]
        if self.url is None and (others := [key for key in given if key != "timeout"]):
            raise ValueError(f"expected url as well, which {', '.join(others)} would be about")
        if self.url is not None and self.url == self.cache:
            raise ValueError(f"cache: {self.cache!r}: expected another registry than url, or no cache")
        if (self.username is None) is not (self.password is None):
            raise ValueError("expected username and password, or neither")
        if (self.kind == "helper") is not (self.helper_token is not None):
            raise ValueError("expected helper_token with kind: helper, and with it alone")
        useless = [key for key in given if key in _USELESS.get(self.kind, ())]
        if useless:
            raise ValueError(f"expected no {' and no '.join(useless)} with kind: {self.kind}")
        return self


_USELESS = {  # keys that a kind would not read: who gives one expects something that will not happen
    "google": ("username", "password"),
    "helper": ("username", "password", "token_url", "not_found_401"),
}
