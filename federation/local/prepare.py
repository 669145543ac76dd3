"""Lays out everything a local federation needs before its first process starts. Starts nothing itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from federation.local.child import Program
from federation.local.files import kept_secret, write_private
from federation.local.layout import FRONT_DOOR, PROMETHEUS, REGISTRY, Layout, member_names
from federation.local.plan import (
    DockerPlan,
    MemberPlan,
    Offer,
    Plan,
    PrometheusPlan,
    front_door_document,
    member_document,
)
from federation.local.ports import HOST, choose, next_free
from federation.local.prometheus import prometheus_document, prometheus_program, shipped_rules
from federation.local.registry import registry_document, registry_program
from federation.local.repositories import publish
from federation.settings.local import ExampleSection, LocalFile, load_examples

# The folder that holds both packages: modules are found from there, whatever folder `up` is called in.
_HOME = Path(__file__).resolve().parents[2]
_NOTE = "# Written by `binder-federation up` at every start: a change made here is lost.\n"
_MODULE = (sys.executable, "-m")


def shipped_examples() -> Path | None:
    """The examples next to the packages; an installation without them offers none."""
    folder = _HOME / "examples"
    return folder if (folder / "suggestions.yaml").is_file() else None


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person asked for. The commands are completed by `serve --config …`."""

    settings: LocalFile
    state_dir: Path
    ready_file: Path | None = None
    examples: Path | None = field(default_factory=shipped_examples)
    rules: Path | None = field(default_factory=lambda: shipped_rules(_HOME))
    front_door_command: Sequence[str] = (*_MODULE, "federation.cli")
    member_command: Sequence[str] = (*_MODULE, "members.cli")


def make_plan(
    wish: Wish, layout: Layout, docker: DockerPlan | None, prometheus: PrometheusPlan | None = None
) -> Plan:
    """Chooses ports and publishes the examples. Raises NoFreePort, RepositoryError, SettingsError."""
    reserved = [] if docker is None else [docker.registry_port]
    reserved += [] if prometheus is None else [prometheus.port]
    port = next_free(wish.settings.port, taken=reserved)
    names = member_names(wish.settings.members)
    ports = choose(2 * len(names), seed=str(layout.root), taken=(port, *reserved))
    members = tuple(
        MemberPlan(name, own, hub) for name, own, hub in zip(names, ports[::2], ports[1::2], strict=True)
    )
    return Plan(
        port=port,
        members=members,
        offers=_publish(wish.examples, layout),
        extra_front_door=wish.settings.front_door,
        extra_member=wish.settings.member,
        member_costs=wish.settings.costs.model_dump(),
        build_secret=kept_secret(layout.build_secret),
        operator_token=kept_secret(layout.token),
        docker=docker,
        prometheus=prometheus,
    )


def write_configurations(plan: Plan, layout: Layout) -> None:
    """Writes one file for every program, for this user's eyes alone."""
    _write(layout.config(FRONT_DOOR), front_door_document(plan, layout))
    if plan.docker is not None:
        _write(layout.config(REGISTRY), registry_document(layout, plan.docker))
    if plan.prometheus is not None:
        _write(layout.config(PROMETHEUS), prometheus_document(plan, plan.prometheus))
    for member in plan.members:
        _write(layout.config(member.name), member_document(plan, member, layout))


def programs(wish: Wish, plan: Plan, layout: Layout) -> tuple[Program, ...]:
    """What is to run: the registry if there is one, the members, then the front door, and who watches them."""
    found = [] if plan.docker is None else [registry_program(layout, plan.docker)]
    found += [
        _program(layout, member.name, member.port, (*wish.member_command, "serve", "--config"))
        for member in plan.members
    ]
    front_door = _program(layout, FRONT_DOOR, plan.port, (*wish.front_door_command, "serve", "--config"))
    watching = [] if plan.prometheus is None else [prometheus_program(layout, plan.prometheus)]
    return (*found, front_door, *watching)


def set_old_logs_aside(layout: Layout) -> None:
    """Keeps the logs of the run before this one as `*.log.previous`."""
    for log in layout.logs.glob("*.log"):
        log.replace(log.with_suffix(".log.previous"))


def _program(layout: Layout, name: str, port: int, command: tuple[str, ...]) -> Program:
    argv = (*command, str(layout.config(name)))
    if name == FRONT_DOOR:
        argv = (*argv, "--host", HOST, "--port", str(port))
    return Program(
        name=name,
        argv=argv,
        log=layout.log(name),
        pid_file=layout.pid(name),
        port=port,
        folder=_HOME,
        env={"PYTHONUNBUFFERED": "1"},
    )


def _publish(examples: Path | None, layout: Layout) -> tuple[Offer, ...]:
    if examples is None:
        return ()
    return tuple(
        _offer(examples, example, layout) for example in load_examples(examples / "suggestions.yaml")
    )


def _offer(examples: Path, example: ExampleSection, layout: Layout) -> Offer:
    repository = layout.repositories / f"{example.repo}.git"
    publish(examples / example.repo, repository)
    return Offer(example.title, example.text, f"file://{os.fspath(repository)}", example.urlpath)


def _write(path: Path, document: dict[str, Any]) -> None:
    write_private(path, _NOTE + yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
