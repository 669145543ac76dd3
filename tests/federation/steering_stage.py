"""A stage for steering: operators with tokens, and what they ask a front door for."""

from __future__ import annotations

from typing import Any

from door_stage import Door

from federation.core.operatortoken import digest
from federation.core.rules import Operator, Role

ANA, BEN, VERA = "ana-token", "ben-token", "vera-token"
OPERATORS = (
    Operator("ana", Role.OPERATOR, (digest(ANA),)),
    Operator("ben", Role.OPERATOR, (digest(BEN),)),
    Operator("vera", Role.VIEWER, (digest(VERA),)),
)
MEMBERS, AUDIT = "/federation/v1/members", "/federation/v1/audit"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


class Answer:
    def __init__(self, status: int, headers: Any, told: Any) -> None:
        self.status, self.headers, self.told = status, headers, told

    @property
    def tag(self) -> str:
        return str(self.headers["ETag"])


async def send(
    door: Door,
    method: str,
    path: str,
    *,
    token: str = "",
    body: Any = None,
    raw: bytes | None = None,
    **headers: str,
) -> Answer:
    """One request; `If_Match` is the header If-Match."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {"json": body} if body is not None else {"data": raw}
    async with door.session.request(
        method, f"{str(door.url).rstrip('/')}{path}", headers={**bearer(token), **named}, **sent
    ) as answer:
        told = await answer.json() if answer.content_type == "application/json" and method != "HEAD" else None
        return Answer(answer.status, answer.headers, told)


async def steer(door: Door, name: str, token: str = ANA, tag: str = "*", **body: Any) -> Answer:
    return await send(door, "PATCH", f"{MEMBERS}/{name}", token=token, body=body, If_Match=tag)


async def entries(door: Door, query: str = "") -> list[dict[str, Any]]:
    return list((await send(door, "GET", f"{AUDIT}{query}", token=VERA)).told["entries"])
