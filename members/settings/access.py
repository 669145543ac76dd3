"""The sections of config/member.yaml that say who may launch, and how often. Knows no file."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from members.providers.fields import Duration
from members.settings.sections import PublicUrl, Section


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError("expected a network, such as 192.0.2.0/24 or 2001:db8::/32") from error


Network = Annotated[str, AfterValidator(_network)]


class BuildTokens(Section):
    """`build_tokens`. The secret is the same in the whole federation, front door included."""

    secret: SecretStr | None = None
    lifetime: Duration = 300.0
    check_origin: bool = True

    @field_validator("secret")
    @classmethod
    def _hex(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not re.fullmatch(r"([0-9A-Fa-f]{2}){16,}", secret.get_secret_value()):
            raise ValueError("expected at least 32 hexadecimal digits, as `openssl rand -hex 32` prints them")
        return secret


class RateLimit(Section):
    """`rate_limit`. Of each client address, for launches without a valid build token; 0 is no limit."""

    launches: Annotated[int, Field(ge=0)] = 10
    period: Duration = 3600.0


class Auth(Section):
    """`auth`. Whether visitors log in, at the member's own JupyterHub."""

    enabled: bool = False
    authenticator: str | None = None
    config: dict[str, dict[str, Any]] = Field(default_factory=dict)
    url: PublicUrl | None = None
    named_servers: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _somebody_asks(self) -> Self:
        if self.enabled and not self.authenticator:
            raise ValueError("expected an authenticator of JupyterHub, such as authenticator: pam")
        return self
