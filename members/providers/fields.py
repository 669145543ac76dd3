"""Types of configuration values, shared by settings and the providers' own parts of it. Knows no file."""

from __future__ import annotations

import os.path
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ValidationInfo, WithJsonSchema

from members.core import units

FOLDER = "folder"  # key of pydantic's validation context: the folder that relative paths start at


def _absolute(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get(FOLDER)
    return Path(os.path.normpath(folder / path)) if isinstance(folder, Path) else path


Duration = Annotated[
    float,
    BeforeValidator(units.seconds),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*(ms|s|m|h)$"}),
]
Size = Annotated[
    int,
    BeforeValidator(units.size),
    WithJsonSchema({"type": ["string", "integer"], "pattern": r"^\d+(\.\d+)?\s*[KMGT]?$"}),
]
Folder = Annotated[Path, AfterValidator(_absolute)]
