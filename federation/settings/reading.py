"""Files to plain data with line numbers, and plain data to checked models. Knows no key of any file.

Every problem of a file is told at once: file, line, key, value and what was expected.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

Location = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

_ABSENT = object()
_SECRET = re.compile(r"secret|password|^tokens?$")  # keys whose values belong in no message


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file. `key` is dotted; `value` is None when there was none to show."""

    key: str
    expected: str
    value: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        got = "" if self.value is None else f" got {self.value},"
        return f"{self.key or 'the file'}:{got} expected {self.expected}"


class SettingsError(Exception):
    """A configuration file that cannot be used, with every problem found in it."""

    def __init__(self, file: Path, problems: tuple[Problem, ...]) -> None:
        self.file = file
        self.problems = problems
        super().__init__(file, problems)

    def __str__(self) -> str:
        def place(problem: Problem) -> str:
            return f"{self.file}" if problem.line is None else f"{self.file}:{problem.line}"

        return "\n".join(f"{place(problem)}: {problem}" for problem in self.problems)


@dataclass(frozen=True, slots=True)
class Document:
    """The data of one file, and the line of each key where the syntax tells."""

    file: Path
    data: Mapping[str, Any]
    lines: Mapping[Location, int]

    def line(self, location: Location) -> int | None:
        """The line of this key, or of the nearest key around it."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location)


def read_document(path: Path) -> Document:
    """The file as YAML, of which JSON is a part. Raises `SettingsError` when there is nothing to read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(path, (Problem("", f"a readable UTF-8 file ({_cause(error)})"),)) from error
    lines: dict[Location, int] = {}
    repeated: list[Problem] = []
    data = _parse(path, text, lines, repeated)
    if not isinstance(data, dict):
        raise SettingsError(path, (Problem("", "a mapping of keys to values", _shown(data), 1),))
    if repeated:
        raise SettingsError(path, tuple(repeated))
    return Document(path, data, lines)


def check(model: type[Model], document: Document) -> Model:
    """The document as this model, or a `SettingsError` with all that is wrong."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        schema = model.model_json_schema()
        problems = [
            _problem(document, schema, tuple(item["loc"]), item["type"], item["msg"])
            for item in error.errors(include_url=False, include_context=False, include_input=False)
        ]
    raise SettingsError(document.file, tuple(dict.fromkeys(problems)))


def _parse(path: Path, text: str, lines: dict[Location, int], repeated: list[Problem]) -> Any:
    try:
        data = _from_json(text, repeated) if text.lstrip().startswith("{") else None
        if data is None:
            data = _from_yaml(text, lines, repeated)
        # What has no end, or is no text, must be refused here: later it would break a page.
        json.dumps(data, ensure_ascii=False, default=str, skipkeys=True).encode()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = None if mark is None else mark.line + 1
        what = getattr(error, "problem", None) or "it cannot be parsed"
        raise SettingsError(path, (Problem("", f"valid YAML ({what})", line=at),)) from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(path, (Problem("", f"plain values in moderate depth ({error})"),)) from error
    return data


def _from_json(text: str, repeated: list[Problem]) -> Any:
    """As written by tools: tabs are fine in JSON and are not in YAML. None when it is no JSON."""

    def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        counts = Counter(key for key, _ in pairs)
        repeated.extend(Problem(key, "each key once") for key, count in counts.items() if count > 1)
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=each_once)
    except ValueError:
        repeated.clear()
        return None


def _from_yaml(text: str, lines: dict[Location, int], repeated: list[Problem]) -> Any:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        for location, line, first in _keys(node, ()):
            if first is not None:
                expected = f"each key once (it is also on line {first})"
                repeated.append(Problem(_dotted(location), expected, line=line))
            lines[location] = line
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _keys(node: yaml.Node, location: Location) -> Iterator[tuple[Location, int, int | None]]:
    """Every key below this node: where it is, its line, and the line of an earlier one of the same name."""
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            inner = (*location, key.value if isinstance(key.value, str) else "?")
            yield inner, line, seen.get(str(key.value))
            seen[str(key.value)] = line
            yield from _keys(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*location, index), value.start_mark.line + 1, None
            yield from _keys(value, (*location, index))


def _problem(
    document: Document, schema: Mapping[str, Any], location: Location, kind: str, message: str
) -> Problem:
    known = [part for part in location if part != "[key]"]
    place = tuple(known)
    value = _at(document.data, place)
    if kind == "extra_forbidden":
        expected = _known_keys(schema, place)
        shown = None
    else:
        expected = "this key to be given" if kind == "missing" else _expectation(message)
        secret = any(isinstance(step, str) and _SECRET.search(step) for step in place)
        shown = None if value is _ABSENT or secret else _shown(value)
    return Problem(_dotted(place), expected, shown, document.line(place))


def _expectation(message: str) -> str:
    for prefix in ("Value error, ", "Assertion failed, ", "Input should be "):
        message = message.removeprefix(prefix)
    if message.startswith(("greater", "less")):
        message = f"a value {message}"
    return message[:1].lower() + message[1:]


def _known_keys(schema: Mapping[str, Any], location: Location) -> str:
    keys = sorted(_properties(schema, schema, location[:-1]))
    near = get_close_matches(str(location[-1]), keys, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"only {', '.join(keys)} here{hint}"


def _properties(schema: Mapping[str, Any], part: Mapping[str, Any], location: Location) -> set[str]:
    """The keys that a JSON schema allows at a location; parts of unions are joined."""
    if "$ref" in part:
        part = schema["$defs"][part["$ref"].rsplit("/", 1)[1]]
    found: set[str] = set()
    for option in part.get("anyOf", ()):
        found |= _properties(schema, option, location)
    if not location:
        return found | set(part.get("properties", ()))
    step, rest = location[0], location[1:]
    inner = part.get("items") if isinstance(step, int) else part.get("properties", {}).get(step)
    if inner is None:
        inner = part.get("additionalProperties")
    if isinstance(inner, Mapping):
        found |= _properties(schema, inner, rest)
    return found


def _at(data: Any, location: Location) -> Any:
    for step in location:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return data


def _shown(value: Any) -> str:
    text = "null" if value is None else json.dumps(value, default=str, ensure_ascii=False)
    text = re.sub(r"//[^/@\s\"]*@", "//…@", text)  # a password belongs in no message
    return text if len(text) <= 80 else text[:77] + "…"


def _dotted(location: Location) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).lstrip(".")


def _cause(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is not UTF-8"
