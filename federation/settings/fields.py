"""The kinds of value that configuration files are written in. Knows no key of any file."""

from __future__ import annotations

import os
import re
from ipaddress import ip_network
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    WithJsonSchema,
)

_DURATION = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>s|m|h)", re.ASCII)
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_HEX = re.compile(r"([0-9A-Fa-f]{2}){16,}", re.ASCII)
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", re.ASCII)
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)


class Section(BaseModel):
    """A part of a file: unknown keys are refused, and the text under a field is its help."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


def seconds(text: Any) -> float:
    """A duration such as `10s`, `1.5m` or `2h` in seconds. Raises ValueError."""
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    value = float(found["number"]) * _UNITS[found["unit"]] if found else 0.0
    if not 0 < value <= 7 * 24 * 3600:
        raise ValueError("a duration above zero with s, m or h, such as 10s")
    return value


def http_url(text: str) -> str:
    """A http(s) URL without credentials, query and fragment; its trailing slashes are dropped."""
    expected = "an http:// or https:// URL without user, query and fragment"
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise ValueError(expected) from error
    if (
        not usable
        or "@" in parts.netloc
        or "?" in text
        or "#" in text
        or not text.isprintable()
        or " " in text
    ):
        raise ValueError(expected)
    return text.rstrip("/")


def from_environment(text: Any) -> Any:
    """`${NAME}` as the variable of that name, so that a secret need not stand in a file."""
    found = _REFERENCE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return text
    if found[1] not in os.environ:
        raise ValueError(f"the environment to have a variable {found[1]}")
    return os.environ[found[1]]


def hex_secret(secret: SecretStr) -> SecretStr:
    if not _HEX.fullmatch(secret.get_secret_value()):
        raise ValueError("at least 32 hexadecimal digits, as `openssl rand -hex 32` prints them")
    return secret


def token_digest(text: str) -> str:
    """The hexadecimal part of a token's digest."""
    found = _DIGEST.fullmatch(text)
    if found is None:
        raise ValueError("a line that `binder-federation token` printed, sha256: and 64 hexadecimal digits")
    return found[1]


def member_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("a name of letters, digits, dot, dash or underscore, at most 63 of them")
    return text


def network(text: str) -> str:
    """An address or network such as 10.0.0.0/8."""
    try:
        return str(ip_network(text, strict=False))
    except ValueError as error:
        raise ValueError("an IP address or network, such as 10.0.0.0/8") from error


Duration = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*(s|m|h)$"}),
]
HttpUrl = Annotated[str, AfterValidator(http_url), WithJsonSchema({"type": "string", "format": "uri"})]
HexSecret = Annotated[
    SecretStr,
    BeforeValidator(from_environment),
    AfterValidator(hex_secret),
    WithJsonSchema({"type": "string"}),
]
Secret = Annotated[SecretStr, BeforeValidator(from_environment), WithJsonSchema({"type": "string"})]
TokenDigest = Annotated[
    str, AfterValidator(token_digest), WithJsonSchema({"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"})
]
Name = Annotated[str, AfterValidator(member_name)]
Network = Annotated[str, AfterValidator(network)]
Count = Annotated[int, Field(ge=1, strict=True)]
Weight = Annotated[float, Field(ge=0, strict=True)]
Money = Annotated[float, Field(ge=0, strict=True)]
