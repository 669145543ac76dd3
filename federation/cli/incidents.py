"""What the front door has opened incidents for, in a terminal. Exit codes as in `federation.cli`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from federation.cli.asking import FrontDoorUrl, asked
from federation.follow.incidents import LIST, incident_path, incidents_table, report_text

app = typer.Typer()


@app.command("incidents")
def list_incidents(
    id: Annotated[str, typer.Argument(help="Print the report of this one, in Markdown.")] = "",
    front_door: FrontDoorUrl = None,
) -> None:
    """List the incidents that the front door has opened, the latest first."""
    if id:
        typer.echo(report_text(asked(front_door, incident_path(id))))
    else:
        Console(highlight=False).print(incidents_table(asked(front_door, LIST)))
