"""config/local.yaml, what `binder-federation up` starts on this machine, and the list of examples it offers.

Knows no port that is free, no folder that exists and no process.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from federation.settings.fields import Section
from federation.settings.reading import check, read_document
from federation.settings.sections import MemberCostSection

Runtime = Literal["auto", "process", "docker"]

# Keys that `up` fills in itself, in the front door's and in every member's configuration.
OWNED_BY_UP_FRONT_DOOR = ("members", "build_tokens.secret")
OWNED_BY_UP_MEMBER = (
    "name",
    "host",
    "port",
    "base_url",
    "state_dir",
    "runtime",
    "images.store",
    "hub.port",
    "hub.url",
    "docker.host",
    "registry",
    "build_tokens.secret",
)


def _without(owned: tuple[str, ...], section: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in owned:
        part: Any = section
        for step in key.split("."):
            part = part.get(step, _ABSENT) if isinstance(part, Mapping) else _ABSENT
        if part is not _ABSENT:
            raise ValueError(f"no `{key}` here: `up` chooses it")
    return section


def _front_door(section: Mapping[str, Any]) -> Mapping[str, Any]:
    return _without(OWNED_BY_UP_FRONT_DOOR, section)


def _member(section: Mapping[str, Any]) -> Mapping[str, Any]:
    return _without(OWNED_BY_UP_MEMBER, section)


def _folder_name(text: str) -> str:
    path = PurePosixPath(text)
    if len(path.parts) != 1 or path.name in ("", "..") or path.is_absolute():
        raise ValueError("the name of a folder beside this file")
    return text


_ABSENT = object()
_LOCAL_KEYS = {"port", "runtime", "front_door", "member"}
_MEMBER_KEYS = {"name", "state_dir", "image_prefix", "isolation", "images", "build", "sessions", "hub"}


class Kind(StrEnum):
    """The configuration files of a federation."""

    FRONT_DOOR = "front door"
    LOCAL = "local federation"
    MEMBER = "member"


def _local_front_door() -> dict[str, Any]:
    return {
        "health": {
            "interval": "2s",
            "timeout": "2s",
            "fall": 2,
            "rise": 1,
            "eject_base": "3s",
            "slow_start": "20s",
        },
        "launch": {"connect_timeout": "2s", "stuck_after": "60s"},
        "incidents": {"member_out": "3s"},
        "providers": ["gh", "git"],
    }


def _local_member() -> dict[str, Any]:
    return {
        "providers": {"git": {"protocols": ["http", "https", "git", "ssh", "file"]}},
        "sessions": {"max": 6, "idle_timeout": "30m"},
    }


class LocalFile(Section):
    """A whole federation on one machine."""

    members: Annotated[int, Field(ge=1, le=26, strict=True)] = 2
    """How many; each is named member-a, member-b, ..."""
    port: Annotated[int, Field(ge=1, le=65535, strict=True)] = 8080
    """Of the front door; the next free one if it is taken."""
    runtime: Runtime = "auto"
    """docker: containers, built by repo2docker; process: no engine is needed; auto: docker where that can be."""
    prometheus: Annotated[bool, Field(strict=True)] = False
    """Whether a Prometheus is started beside it, which reads the metrics of all and tells the front door."""
    costs: MemberCostSection = MemberCostSection(monthly=60.0)
    """What each member costs, as in config/federation.yaml: a figure to see what launches cost."""
    front_door: Annotated[dict[str, Any], AfterValidator(_front_door)] = Field(
        default_factory=_local_front_door
    )
    """Keys of config/federation.yaml, for the local front door."""
    member: Annotated[dict[str, Any], AfterValidator(_member)] = Field(default_factory=_local_member)
    """Keys of config/member.yaml, for each member."""


class ExampleSection(Section):
    """One launch that the front page offers."""

    repo: Annotated[str, AfterValidator(_folder_name)]
    """A folder beside the list."""
    title: str
    """Shown as the name of the launch."""
    text: str = ""
    """A sentence about it."""
    urlpath: str = ""
    """Where the browser goes inside the server."""


class _ExamplesFile(Section):
    examples: list[ExampleSection]


def load_local(path: Path | None) -> LocalFile:
    """The local federation described by this file; None gives the defaults, which are the shipped file's.

    Raises `SettingsError` with every problem of the file.
    """
    return LocalFile() if path is None else check(LocalFile, read_document(path))


def kind_of(path: Path) -> Kind:
    """What a file is meant to be, told by the keys that only one kind has. Raises `SettingsError`.

    A front door names its members, a local federation counts them, a member has none.
    """
    keys = read_document(path).data
    if "members" not in keys and "hosts" not in keys and _MEMBER_KEYS & keys.keys():
        return Kind.MEMBER
    if isinstance(keys.get("members"), int) or _LOCAL_KEYS & keys.keys():
        return Kind.LOCAL
    return Kind.FRONT_DOOR


def load_examples(path: Path) -> tuple[ExampleSection, ...]:
    """The examples in the order in which they are offered. Raises `SettingsError`."""
    return tuple(check(_ExamplesFile, read_document(path)).examples)


def local_schema() -> dict[str, Any]:
    """The JSON schema of config/local.yaml, for editors."""
    return LocalFile.model_json_schema()
