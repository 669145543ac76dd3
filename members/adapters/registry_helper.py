"""BinderHub's external helper for registries of clouds (BINDER-PROTOCOL §5). Asks the helper alone."""

from __future__ import annotations

import asyncio

from members.adapters.registry_distribution import denied, json_object, strange
from members.adapters.registry_wire import Wire
from members.core.imageref import ImageRef
from members.core.model import Credentials, RegistryDown, RegistryState

_CHECK_LIMIT = 1.2  # seconds: less than what /health gives to each of its lines


class Helper:
    """One helper at the wire's address; its token is in the headers of each question."""

    def __init__(self, wire: Wire, token: str) -> None:
        self._wire = wire
        self._headers = {"Authorization": f"Bearer {token}"}

    async def has(self, ref: ImageRef) -> bool:
        """Whether the image is there. A repository that is missing is made: registries behind a helper need that."""
        if not await self._found("GET", f"/repo/{ref.repository}"):
            await self._ask("POST", f"/repo/{ref.repository}")
            return False
        return await self._found("GET", f"/image/{ref.repository}:{ref.reference}")

    async def check(self, ref: ImageRef) -> RegistryState:
        """Whether the helper answers, by looking for a repository that need not exist."""
        try:
            async with asyncio.timeout(_CHECK_LIMIT):
                await self._found("GET", f"/repo/{ref.repository}", attempts=1)
        except TimeoutError as error:
            raise RegistryDown(
                f"{self._wire.url} did not answer within {_CHECK_LIMIT:g} seconds", RegistryState.UNREACHABLE
            ) from error
        return RegistryState.READY

    async def credentials(self, ref: ImageRef) -> Credentials | None:
        """Fresh ones for one image; None when the helper has none to give."""
        answer = await self._ask("POST", f"/token/{ref.repository}:{ref.reference}")
        if answer is None:
            return None
        user, password, registry = (answer.get(key) for key in ("username", "password", "registry"))
        if isinstance(user, str) and isinstance(password, str) and isinstance(registry, str):
            return Credentials(user, password, registry)
        raise RegistryDown(
            f"{self._wire.url} answered something else than credentials", RegistryState.FAILING
        )

    async def _found(self, method: str, path: str, *, attempts: int = 4) -> bool:
        return await self._ask(method, path, attempts=attempts) is not None

    async def _ask(self, method: str, path: str, *, attempts: int = 4) -> dict[str, object] | None:
        """The JSON object of a 2xx; None for 404."""
        reply = await self._wire.ask(method, path, scope="", headers=self._headers, attempts=attempts)
        if reply.status in (401, 403):
            raise denied(reply, "use the helper")
        if reply.status == 404:
            return None
        if reply.status // 100 != 2 or (reply.body and not json_object(reply)):
            raise strange(reply)
        return json_object(reply)
