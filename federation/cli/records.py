"""What was, in a terminal: what members cost and gave. Changes nothing.

Exit codes as in `federation.cli`.
"""

from __future__ import annotations

import typer
from rich.console import Console

from federation.cli.asking import FrontDoorUrl, asked
from federation.follow.costs import costs_table

app = typer.Typer(no_args_is_help=True)


@app.command()
def costs(front_door: FrontDoorUrl = None) -> None:
    """Show what members cost and gave this month, and how far their budgets hold them back."""
    Console(highlight=False).print(costs_table(asked(front_door, "/federation/v1/costs")))
