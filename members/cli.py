"""The command `binder-member`. The only place that prints and exits."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, TypeVar

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from members import app as member
from members.adapters import log
from members.adapters.parent import ParentGone, end_with_parent
from members.core import units
from members.core.retention import Policy
from members.images import command, report
from members.runtimes import RUNTIMES
from members.settings import Settings, SettingsError, load

main = typer.Typer(
    help="One member of a Binder federation.", no_args_is_help=True, pretty_exceptions_enable=False
)
_PARENT = "BINDER_EXIT_WITH_PARENT"  # pid of the process that this one must not outlive

_Answer = TypeVar("_Answer")
_Number = TypeVar("_Number", int, float)

ConfigOption = Annotated[
    Path, typer.Option("--config", help="The member's YAML file, as config/member.yaml.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
ConfigArgument = Annotated[Path, typer.Argument(help="The member's YAML file, as config/member.yaml.")]


@main.command()
def serve(config: ConfigOption) -> None:
    """Run a member, with its hub, until Ctrl-C or SIGTERM."""
    settings = _load(config)
    log.configure(settings.log.level, settings.log.format)
    try:
        _follow_parent()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings))
    except (OSError, ParentGone, *member.FAULTS) as error:
        raise _stop(f"{settings.name} cannot run: {error}") from error


images = typer.Typer(
    help="The images of the whole federation: list them, prune them.", invoke_without_command=True
)
main.add_typer(images, name="images")


@images.callback()
def images_list(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option("--config", help="The member's YAML file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the federation's images, with their sizes and when a member last used them."""
    if context.invoked_subcommand is not None:
        return
    if config is None:
        raise _stop("binder-member images: expected --config FILE, the YAML file of a member")
    survey = _ask_registry(command.survey(_load(config)))
    if as_json:
        typer.echo(report.listed_json(survey))
        return
    _print(report.listed(survey))
    typer.echo(report.summary(survey))


@images.command("prune")
def images_prune(
    config: ConfigOption,
    unused_for: Annotated[
        str, typer.Option(help="Only images that no member has used for this long, such as 30d.")
    ] = "30d",
    grace: Annotated[
        str, typer.Option(help="Added to --unused-for for images that no member has a record of.")
    ] = "7d",
    keep: Annotated[
        list[str] | None,
        typer.Option(help="A repository (user/name or its URL) or a glob of image names; can be repeated."),
    ] = None,
    larger_than: Annotated[str | None, typer.Option(help="Only images above this size, such as 2G.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete. Without it, only say what would go.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say which images no member has used for long, and with --yes delete them from the registry."""
    policy = Policy(
        unused_for=_parsed("--unused-for", units.seconds, unused_for),
        grace=_parsed("--grace", units.seconds, grace),
        larger_than=None if larger_than is None else _parsed("--larger-than", units.size, larger_than),
        keep=tuple(keep or ()),
    )
    pruned = _ask_registry((command.prune if yes else command.plan)(_load(config), policy))
    if as_json:
        typer.echo(report.pruned_json(pruned, dry_run=not yes))
    elif yes:
        typer.echo(report.done(pruned))
    else:
        _print(report.planned(pruned))
        typer.echo(report.plan(pruned))
    if pruned.fault:
        raise _stop(pruned.fault)


@main.command("check-config")
def check_config(config: ConfigArgument) -> None:
    """Say whether a file could be served, and if not, everything that is wrong with it."""
    _load(config)
    typer.echo(f"{config}: fine")


@main.command("print-schema")
def print_schema() -> None:
    """Print the JSON schema of the member's YAML file."""
    typer.echo(json.dumps(Settings.model_json_schema(), indent=2))


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await member.serve(
        settings,
        RUNTIMES[settings.runtime],
        announce=lambda url: typer.echo(f"Member ready: {url}"),
        stop=stop,
    )


def _ask_registry(question: Coroutine[None, None, _Answer]) -> _Answer:
    try:
        return asyncio.run(question)
    except command.FAULTS as error:
        raise _stop(str(error)) from error


def _parsed(option: str, parse: Callable[[object], _Number], text: str) -> _Number:
    try:
        return parse(text)
    except ValueError as error:
        raise _stop(f"{option}: {text!r}: {error}") from error


def _print(table: Table) -> None:
    """As wide as it needs to be where no terminal sets a limit."""
    console = Console()
    if table.row_count:
        console.print(table, soft_wrap=not console.is_terminal)


def _follow_parent() -> None:
    pid = os.environ.get(_PARENT, "")
    if pid:
        if not pid.isdecimal():
            raise _stop(f"{_PARENT}: {pid!r}: expected the pid of the parent process")
        end_with_parent(int(pid))


def _load(path: Path) -> Settings:
    try:
        return load(path, os.environ)
    except SettingsError as error:
        raise _stop(str(error)) from error


def _stop(message: str) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(1)


if __name__ == "__main__":
    main()
