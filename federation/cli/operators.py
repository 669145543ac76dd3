"""What operators do in a terminal: see how members stand, steer them, read who did, and make tokens.

Exit codes as in `federation.cli`: 1 too when somebody else was first, or the front door could not keep a change.
"""

from __future__ import annotations

import getpass
import secrets
from enum import StrEnum
from math import isfinite
from typing import Annotated, Any

import typer
from rich.console import Console

from federation.cli.asking import FrontDoorUrl, Token, asked, done, named
from federation.cli.words import FAILED, USAGE, refuse, words
from federation.core.operatortoken import digest
from federation.follow.changes import as_configured_line, audit_table, changed_line, set_line, set_lines
from federation.follow.steer import AUDIT, MEMBERS, ChangedMeanwhile, End, UnclearEnd, end, steer
from federation.follow.tables import members_table
from federation.settings.fields import member_name

CONFIGURED = "configured"

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Of the member.")]
Reason = Annotated[str, typer.Option(help="Why; everybody can read it.")]
Until = Annotated[
    str | None, typer.Option(help="When it ends by itself: a length such as 10m, 2h or 3d, or an ISO time.")
]
By = Annotated[
    str | None, typer.Option(help="Who does it, for other operators; your login name if not given.")
]


class RoleName(StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"


@app.command("members")
def list_members(front_door: FrontDoorUrl = None, token: Token = None) -> None:
    """List the members as the front door sees them: state, share of launches, seats, outcomes, and what is set."""
    told = asked(front_door, MEMBERS, token)
    out = Console(highlight=False)
    out.print(members_table(told))
    for line in set_lines(told):
        out.print(line, soft_wrap=True)


@app.command()
def weight(
    name: Name,
    value: Annotated[
        str, typer.Argument(help=f"A number from 0, or `{CONFIGURED}` for the configuration's.")
    ],
    reason: Reason = "",
    until: Until = None,
    by: By = None,
    front_door: FrontDoorUrl = None,
    token: Token = None,
) -> None:
    """Set a member's share of launches, in the unit of the configuration's weights."""
    _steer(name, {"weight": _weight(value)}, reason, until, by, front_door, token)


@app.command()
def drain(
    name: Name,
    reason: Reason = "",
    until: Until = None,
    by: By = None,
    front_door: FrontDoorUrl = None,
    token: Token = None,
) -> None:
    """Send a member no further launches. What runs there, or is on its way, goes on."""
    _steer(name, {"state": "drained"}, reason, until, by, front_door, token)


@app.command()
def undrain(
    name: Name, reason: Reason = "", by: By = None, front_door: FrontDoorUrl = None, token: Token = None
) -> None:
    """Let a member take launches again, as soon as it looks well."""
    _steer(name, {"state": "active"}, reason, None, by, front_door, token)


@app.command()
def audit(
    before: Annotated[
        int | None, typer.Option(min=1, help="Only changes before the one with this id.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many changes.")] = 20,
    front_door: FrontDoorUrl = None,
    token: Token = None,
) -> None:
    """List who changed what, newest first."""
    page = {"limit": str(limit)} | ({} if before is None else {"before": str(before)})
    told = asked(front_door, AUDIT, token, **page)
    Console(highlight=False).print(audit_table(told))
    if told.get("next") is not None:
        words.print(f"There is more: --before {told['next']}", markup=False)


@app.command("token")
def make_token(
    name: Annotated[str, typer.Argument(help="Of the operator.")],
    role: Annotated[
        RoleName, typer.Option(help="viewer: may look; operator: may change members.")
    ] = RoleName.OPERATOR,
) -> None:
    """Make a token for an operator. It is shown this once: the configuration gets its digest."""
    try:
        member_name(name)
    except ValueError as problem:
        refuse(f"{name!r} is no name: expected {problem}", USAGE)
    made = secrets.token_urlsafe(32)
    typer.echo(made)
    words.print(
        "The token above is shown this once. Into the front door's configuration goes its digest:",
        soft_wrap=True,
    )
    typer.echo(f'operators:\n  {name}: {{role: {role.value}, tokens: ["sha256:{digest(made)}"]}}')


def _steer(
    name: str,
    wish: dict[str, Any],
    reason: str,
    until: str | None,
    by: str | None,
    front_door: str | None,
    token: str | None,
) -> None:
    """Asks for it and says what is set then, or ends the command."""
    door = named(front_door, token)
    told = {**wish, "reason": reason, "by": _login() if by is None else by}
    try:
        member = done(steer(door.url, door.token, name, told, End() if until is None else end(until)))
    except UnclearEnd as problem:
        refuse(problem, USAGE)
    except ChangedMeanwhile as problem:
        who = [changed_line(entry).plain for entry in problem.entries] or ["in the configuration"]
        refuse("\n".join([f"{name} was changed meanwhile, so nothing was done:", *who]), FAILED)
    out = Console(highlight=False)
    lines = list(set_line(member))
    for line in lines:
        out.print(line, soft_wrap=True)
    if not lines:
        out.print(as_configured_line(member), soft_wrap=True)


def _weight(text: str) -> float | None:
    if text == CONFIGURED:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not (isfinite(value) and value >= 0):
        refuse(f"weight: {text!r}, expected a number from 0, or {CONFIGURED}", USAGE)
    return value


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name
        return ""
