"""Types of configuration values, shared by settings and the providers' own parts of it. Knows no file."""

from __future__ import annotations

import os.path
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ValidationInfo, WithJsonSchema

from members.core import units

FOLDER = "folder"  # key of pydantic's validation context: the folder that relative paths start at


def _absolute(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get(FOLDER)
    return Path(os.path.normpath(folder / path)) if isinstance(folder, Path) else path


def _web_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^/\s?#@]+(/[^\s?#]*)?", url):
        raise ValueError("expected an http or https URL without query, such as https://api.github.com")
    return url.rstrip("/")


def _host(host: str) -> str:
    if not re.fullmatch(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:\d{1,5})?", host):
        raise ValueError("expected a host, with its port if that is not the usual one, such as zenodo.org")
    return host.lower()


Duration = Annotated[
    float,
    BeforeValidator(units.seconds),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*(ms|s|m|h|d)$"}),
]
Size = Annotated[
    int,
    BeforeValidator(units.size),
    WithJsonSchema({"type": ["string", "integer"], "pattern": r"^\d+(\.\d+)?\s*[KMGT]?$"}),
]
Folder = Annotated[Path, AfterValidator(_absolute)]
WebUrl = Annotated[str, AfterValidator(_web_url)]
Host = Annotated[str, AfterValidator(_host)]
