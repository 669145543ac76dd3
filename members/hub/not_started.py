"""Why a session did not start, in words for its visitor. Knows no spawner."""

from __future__ import annotations

from jupyterhub.spawner import SpawnException


class NotStarted(SpawnException):
    """`reason` is one word for the hub's log. The hub tells visitors `jupyterhub_message` alone, if there is one;
    without it they would read the exception's status, class and reason as well."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message, reason=reason)  # type: ignore[no-untyped-call]
        self.jupyterhub_message = message
