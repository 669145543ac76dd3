"""From a YAML file to settings, or to the list of everything that is wrong with it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from members.providers.fields import FOLDER
from members.settings.model import Settings

Key = tuple[str | int, ...]
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET = re.compile(r"token|secret|password", re.IGNORECASE)
_LONGEST_VALUE = 80


class SettingsError(Exception):
    """The file cannot be used. `problems` has one line for each thing to put right."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def load(path: Path, environ: Mapping[str, str]) -> Settings:
    """The settings in a file. Raises SettingsError with every problem at once."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path}: cannot be read: {error}"]) from error
    return parse(text, path, environ)


def parse(text: str, path: Path, environ: Mapping[str, str]) -> Settings:
    """As `load`, for the text of a file that is, or would be, at `path`."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
        lines: dict[Key, int] = {}
        problems = [(key, "is given twice") for key in _lines(node, (), lines)]
        missing: list[tuple[Key, str]] = []
        values = _from_environment({} if data is None else data, (), environ, missing)
    except yaml.YAMLError as error:
        raise SettingsError([f"{path}{_place(error)}"]) from None  # the error's own words quote the file
    except RecursionError as error:
        raise SettingsError([f"{path}: is not YAML that can be used: it is nested too deeply"]) from error
    if not isinstance(values, dict):
        raise SettingsError([f"{path}: expected keys and values, such as `port: 8585`"])
    problems += [(key, f"the environment has no variable {name}") for key, name in missing]
    settings = None
    try:
        settings = Settings.model_validate(values, context={FOLDER: path.absolute().parent})
    except ValidationError as error:
        problems += [_problem(detail, data) for detail in error.errors(include_url=False)]
    if settings is None or problems:
        placed = sorted((_line(key, lines), f"{_dotted(key)}: {what}") for key, what in problems)
        raise SettingsError([f"{path}:{line}: {what}" for line, what in placed])
    return settings


def _place(error: yaml.YAMLError) -> str:
    """Where it is no YAML and why, without the line itself: that may hold a secret."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return ": is not YAML"
    return f":{error.problem_mark.line + 1}: is not YAML: {error.problem or error.context}"


def _lines(node: yaml.Node | None, at: Key, lines: dict[Key, int]) -> list[Key]:
    """Notes the line of every key below a node, and returns the keys that stand there twice."""
    twice: list[Key] = []
    if isinstance(node, yaml.MappingNode):
        for key_node, value in node.value:
            key = (*at, str(key_node.value))
            if key in lines:
                twice.append(key)
            lines[key] = key_node.start_mark.line + 1
            twice += _lines(value, key, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*at, index)] = value.start_mark.line + 1
            twice += _lines(value, (*at, index), lines)
    return twice


def _from_environment(value: Any, at: Key, environ: Mapping[str, str], missing: list[tuple[Key, str]]) -> Any:
    """The same value, where each string that is `${NAME}` has become the variable of that name."""
    if isinstance(value, dict):
        return {
            key: _from_environment(below, (*at, str(key)), environ, missing) for key, below in value.items()
        }
    if isinstance(value, list):
        return [_from_environment(below, (*at, i), environ, missing) for i, below in enumerate(value)]
    match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    if match[1] not in environ:
        missing.append((at, match[1]))
    return environ.get(match[1])


def _problem(detail: ErrorDetails, data: Any) -> tuple[Key, str]:
    key = _real_key(detail["loc"], data)
    if detail["type"] == "extra_forbidden":
        return key, f"unknown key; expected {_known(key)}"
    error = detail.get("ctx", {}).get("error")
    expected = str(error) if error is not None else detail["msg"]
    return key, f"{_shown(key, data)}: {expected}"


def _real_key(loc: Key, data: Any) -> Key:
    """The part of pydantic's location that is in the file: it adds the branch of a union at the end."""
    key: Key = ()
    for part in loc:
        below = data.get(part, ...) if isinstance(data, dict) else ...
        if isinstance(data, list) and isinstance(part, int) and part < len(data):
            below = data[part]
        if below is ...:
            break
        key, data = (*key, part), below
    return key or loc


def _known(key: Key) -> str:
    """The keys that may stand where an unknown one was found, the likeliest first."""
    section: Any = Settings
    for part in key[:-1]:
        fields = section.model_fields if isinstance(section, type) and issubclass(section, BaseModel) else {}
        annotation = fields[str(part)].annotation if str(part) in fields else None
        options = (annotation, *getattr(annotation, "__args__", ()))
        section = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
    if section is None:
        return "no key here"
    names = list(section.model_fields)
    close = difflib.get_close_matches(str(key[-1]), names, n=1)
    return f"{close[0]} perhaps, or one of {', '.join(names)}" if close else f"one of {', '.join(names)}"


def _shown(key: Key, data: Any) -> str:
    """The value as it stands in the file, unless it may be a secret."""
    if any(_SECRET.search(str(part)) for part in key):
        return "(not shown)"
    try:
        for part in key:
            data = data[part]
    except (KeyError, IndexError, TypeError):
        return "the default"
    text = repr(_without_secrets(data))
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"


def _without_secrets(data: Any) -> Any:
    if isinstance(data, list):
        return [_without_secrets(below) for below in data]
    if not isinstance(data, dict):
        return data
    return {
        key: "(not shown)" if _SECRET.search(str(key)) else _without_secrets(below)
        for key, below in data.items()
    }


def _line(key: Key, lines: Mapping[Key, int]) -> int:
    while key and key not in lines:
        key = key[:-1]
    return lines.get(key, 1)


def _dotted(key: Key) -> str:
    return ".".join(str(part) for part in key)
