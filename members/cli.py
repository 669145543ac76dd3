"""The command `binder-member`. The only place that prints and exits."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from members import app as member
from members.adapters import log
from members.adapters.parent import ParentGone, end_with_parent
from members.runtimes import RUNTIMES
from members.settings import Settings, SettingsError, load

main = typer.Typer(
    help="One member of a Binder federation.", no_args_is_help=True, pretty_exceptions_enable=False
)
_PARENT = "BINDER_EXIT_WITH_PARENT"  # pid of the process that this one must not outlive

ConfigOption = Annotated[
    Path, typer.Option("--config", help="The member's YAML file, as config/member.yaml.")
]
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
