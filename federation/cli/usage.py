"""How a federation was used, in a terminal: the archive's launches counted. Exit codes as in `federation.cli`."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from federation.cli.asking import FrontDoorUrl, done, named
from federation.cli.words import INTERRUPTED, USAGE, refuse, words
from federation.core.usage import Report
from federation.follow import usage
from federation.follow.archive import NotThere, Reading, Span, files_in, from_files, from_front_door

app = typer.Typer(no_args_is_help=True)


class Grouping(StrEnum):
    MEMBER = "member"
    REPOSITORY = "repository"
    PROVIDER = "provider"
    DAY = "day"
    OUTCOME = "outcome"
    CAUSE = "cause"


Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="In UTC; this day counts.")]


@app.command()
def report(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files of an archive, or mybinder.org's.")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="An archive's folder.")] = None,
    front_door: FrontDoorUrl = None,
    since: Day = None,
    until: Day = None,
    by: Annotated[Grouping | None, typer.Option(help="What launches are compared by.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Rows of a table.")] = 20,
    csv: Annotated[bool, typer.Option("--csv", help="All rows as CSV.")] = False,
    json: Annotated[bool, typer.Option("--json", help="All rows as JSON.")] = False,
) -> None:
    """Count launches from the archive: how many, where, with what success, after what wait."""
    if csv and json:
        refuse("--csv and --json: one of them, not both", USAGE)
    names = usage.OVERVIEW if by is None and not csv and not json else (by or Grouping.MEMBER,)
    counted = Report(*names)
    reading = Reading(Span(_day(since), _day(until)), counted.add)
    if files or folder is not None:
        _read(files or [], folder, reading)
    else:
        done(from_front_door(named(front_door, None).url, reading))
    if reading.odd:
        words.print(f"{reading.odd} lines are no launches and do not count.", style="yellow", markup=False)
    if csv or json:
        typer.echo((usage.as_csv if csv else usage.as_json)(counted, names[0]).rstrip("\n"))
    else:
        Console(highlight=False).print(usage.tables(counted, top))


def _read(files: list[Path], folder: Path | None, reading: Reading) -> None:
    try:
        from_files([*files, *([] if folder is None else files_in(folder, reading.span))], reading)
    except NotThere as problem:
        refuse(problem, USAGE)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _day(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%d}"
