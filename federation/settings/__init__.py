"""The only parser of configuration: files in, frozen `Settings` out. Knows no socket and no request."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from federation.core.rules import Settings
from federation.settings import front_door, upstream
from federation.settings.reading import Problem, SettingsError, check, read_document

__all__ = ["Problem", "Settings", "SettingsError", "load", "schema"]


def load(path: Path) -> Settings:
    """The configuration in this file: our own YAML, or upstream's JSON, told by its `hosts`.

    Raises `SettingsError` with every problem of the file.
    """
    settings = _read(path)
    if settings.state_folder is None:
        return replace(settings, state_folder=str(path.resolve().with_suffix(".state")))
    return settings


def _read(path: Path) -> Settings:
    document = read_document(path)
    if "hosts" not in document.data or "members" in document.data:
        return front_door.settings(check(front_door.FrontDoorFile, document))
    file = check(upstream.UpstreamFile, document)
    if nowhere := upstream.unusable(file):
        problems = (
            Problem(f"hosts.{name}.url", "this key to be given", line=document.line(("hosts", name)))
            for name in nowhere
        )
        raise SettingsError(path, tuple(problems))
    return upstream.settings(file)


def schema() -> dict[str, Any]:
    """The JSON schema of config/federation.yaml, for editors."""
    return front_door.FrontDoorFile.model_json_schema()
