"""Configuration files for tests, and what is said of bad ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.settings import SettingsError, load


def written(folder: Path, text: str, name: str = "federation.yaml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as refused:
        load(written(folder, text))
    return str(refused.value).replace(f"{folder}/", "")
