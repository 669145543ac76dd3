"""The operators' and users' commands. Words in, words and exit codes out: everything else is below.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 the front door cannot be reached, 130 Ctrl-C.
"""

from __future__ import annotations

import json
import webbrowser
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import typer
import uvloop
from rich.console import Console

from federation import settings as front_door_settings
from federation.cli import incidents, operators, records, usage
from federation.cli.asking import ELSEWHERE, STATE_DIR, FrontDoorUrl, asked, front_door_nearby
from federation.cli.words import FAILED, INTERRUPTED, UNREACHABLE, USAGE, refuse, words
from federation.follow.display import Display
from federation.follow.launch import LaunchFailed, follow
from federation.follow.stream import BrokenOff, Unreachable
from federation.follow.tables import explanation
from federation.follow.wanted import Unclear, front_door_url, read
from federation.local.lock import Locked
from federation.local.parent import WrongParent, follow_parent
from federation.local.ports import NoFreePort
from federation.local.prepare import Wish
from federation.local.prometheus import PrometheusMissing
from federation.local.readiness import NotReady
from federation.local.report import Report
from federation.local.repositories import RepositoryError
from federation.local.runtime import RuntimeMissing
from federation.local.up import up as run_up
from federation.settings import SettingsError
from federation.settings.local import Kind, LocalFile, kind_of, load_local, local_schema

UP_FAILS = (Locked, RuntimeMissing, PrometheusMissing, NoFreePort, RepositoryError, NotReady, OSError)

app = typer.Typer(
    name="binder-federation",
    help="One public domain in front of many BinderHubs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class RuntimeName(StrEnum):
    AUTO = "auto"
    PROCESS = "process"
    DOCKER = "docker"


class SchemaName(StrEnum):
    FRONT_DOOR = "front-door"
    LOCAL = "local"


@app.command()
def up(
    members: Annotated[int | None, typer.Option(min=1, max=26, help="How many members.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Wanted port of the front door.")] = None,
    runtime: Annotated[RuntimeName | None, typer.Option(help="What builds and sessions run in.")] = None,
    prometheus: Annotated[bool | None, typer.Option(help="A Prometheus that watches it.")] = None,
    config: Annotated[Path | None, typer.Option(help="As config/local.yaml.")] = None,
    state_dir: Annotated[Path, typer.Option(help="Where everything is kept.")] = STATE_DIR,
    ready_file: Annotated[Path | None, typer.Option(help="Written when a launch would work.")] = None,
) -> None:
    """Start a whole federation on this machine: a front door, members with their hubs, examples."""
    try:
        chosen = load_local(config).model_dump() | {
            name: value
            for name, value in {
                "members": members,
                "port": port,
                "runtime": runtime and runtime.value,
                "prometheus": prometheus,
            }.items()
            if value is not None
        }
        local = LocalFile(**chosen)
        run_up(Wish(local, state_dir, ready_file), Report(Console(highlight=False)))
    except SettingsError as problem:
        refuse(problem, USAGE)
    except UP_FAILS as problem:
        refuse(problem, FAILED)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


@app.command()
def serve(
    config: Annotated[Path, typer.Option(help="As config/federation.yaml, or upstream's JSON.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free one.")] = 8080,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the port.")] = 1,
) -> None:
    """Run the front door."""
    try:
        follow_parent()
        uvloop.run(_serve(config, host, port, workers))
    except (SettingsError, WrongParent) as problem:
        refuse(problem, USAGE)
    except OSError as problem:
        refuse(f"cannot listen on {host}:{port}: {problem}", FAILED)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


@app.command()
def launch(
    spec: Annotated[str, typer.Argument(metavar="PROVIDER/SPEC", help="Or a launch link.")],
    front_door: FrontDoorUrl = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the notebook in a browser.")] = False,
) -> None:
    """Launch a repository, follow it here, and print the address of the running notebook."""
    display = Display(words)
    try:
        wanted = read(spec)
        door = front_door_url(front_door or wanted.front_door or front_door_nearby())
        with display.live():
            url = uvloop.run(follow(wanted, door, display.tell))
    except Unclear as problem:
        refuse(problem, USAGE)
    except LaunchFailed as problem:
        refuse(problem, FAILED)
    except BrokenOff as problem:
        refuse(problem, UNREACHABLE)
    except Unreachable as problem:
        refuse(f"{problem}\n{ELSEWHERE}", UNREACHABLE)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    typer.echo(url)
    if open_ and not webbrowser.open(url):
        words.print("No browser could be opened; the address above works in any.", soft_wrap=True)


@app.command()
def explain(
    spec: Annotated[str, typer.Argument(metavar="PROVIDER/SPEC", help="Or a launch link.")],
    member: Annotated[str, typer.Option(help="Say why the launch goes to this one, or not.")] = "",
    front_door: FrontDoorUrl = None,
) -> None:
    """Say where a launch would go now, and why not elsewhere. Launches nothing."""
    try:
        wanted = read(spec)
    except Unclear as problem:
        refuse(problem, USAGE)
    query = f"?{urlencode({'member': wanted.member})}" if wanted.member else ""
    parameters = {"spec": f"{wanted.provider}/{wanted.spec}{query}"} | ({"member": member} if member else {})
    answer = asked(front_door or wanted.front_door, "/federation/v1/explain", **parameters)
    Console(highlight=False).print(explanation(answer))


@app.command("check-config")
def check_config(
    file: Annotated[Path, typer.Argument(help="A front door's YAML or JSON, or config/local.yaml.")],
) -> None:
    """Check a configuration file without starting anything."""
    try:
        kind = _check(file)
    except SettingsError as problem:
        refuse(problem, USAGE)
    typer.echo(f"{file}: good, for a {kind}")


@app.command("print-schema")
def print_schema(
    which: Annotated[SchemaName, typer.Argument(help="Of which file.")] = SchemaName.FRONT_DOOR,
) -> None:
    """Print a configuration file's JSON schema, for editors."""
    schema = front_door_settings.schema() if which is SchemaName.FRONT_DOOR else local_schema()
    typer.echo(json.dumps(schema, indent=2))


async def _serve(config: Path, host: str, port: int, workers: int) -> None:
    # Imported here: the other commands start faster without the server.
    def ready(url: str) -> None:
        typer.echo(f"Front door ready: {url}")

    if workers == 1:
        from federation.app import serve as run_front_door

        await run_front_door(config, host=host, port=port, on_ready=ready)
    else:
        from federation.workers.captain import serve as run_workers
        from federation.workers.crew import WorkerEnded

        try:
            await run_workers(config, host=host, port=port, workers=workers, on_ready=ready)
        except WorkerEnded as problem:
            refuse(problem, FAILED)


def _check(file: Path) -> Kind:
    """Checks the file as what it is and says what that is."""
    kind = kind_of(file)
    if kind is Kind.MEMBER:
        refuse(f"{file} is a member's: check it with `binder-member check-config {file}`", USAGE)
    if kind is Kind.LOCAL:
        load_local(file)
    else:
        front_door_settings.load(file)
    return kind


app.add_typer(operators.app)
app.add_typer(records.app)
app.add_typer(usage.app)
app.add_typer(incidents.app)


def main() -> None:
    """The entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
