"""A registry that speaks the OCI distribution API: is an image there, may we read and write. Knows no kind of login."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urljoin

from members.adapters.registry_ask import Reply
from members.adapters.registry_wire import Wire
from members.core.imageref import ImageRef
from members.core.model import RegistryDown, RegistryState

MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
ACCEPT = ", ".join(MANIFESTS)

_CHECK_LIMIT = 1.2  # seconds: less than what /health gives to each of its lines
_PROVEN = 300.0  # seconds that a permission to push counts as known


class Distribution:
    """Lookups in one registry. `hides_missing`: it answers 401 or 403 for images that it does not have."""

    def __init__(self, wire: Wire, *, hides_missing: bool) -> None:
        self._wire = wire
        self._hides_missing = hides_missing
        self._pushable_until = 0.0

    async def has(self, ref: ImageRef) -> bool:
        """Whether there is a manifest, of whatever kind. Raises RegistryDown without a clear yes or no.

        HEAD first, as Docker Hub counts every GET as a pull; a no is asked again with GET, because only its
        body tells a registry without this image from some web server that never heard of any.
        """
        path, scope = manifest_path(ref), pull_scope(ref)
        head = await self._wire.ask("HEAD", path, scope=scope, headers={"Accept": ACCEPT})
        if head.status == 200 and media_type(head) in MANIFESTS:
            return True
        return self._clear(await self._wire.ask("GET", path, scope=scope, headers={"Accept": ACCEPT}))

    def _clear(self, reply: Reply) -> bool:
        answer = json_object(reply)
        if reply.status == 200 and "schemaVersion" in answer:
            return True
        if reply.status == 404 and (isinstance(answer.get("errors"), list) or _speaks(reply)):
            return False
        if reply.status in (401, 403):
            if self._hides_missing:
                return False
            raise denied(reply, "read")
        raise strange(reply)

    async def check(self, ref: ImageRef) -> RegistryState:
        """How it stands, by looking for an image that need not exist; asks once and quickly. Raises RegistryDown."""
        try:
            async with asyncio.timeout(_CHECK_LIMIT):
                path, scope = manifest_path(ref), pull_scope(ref)
                self._clear(
                    await self._wire.ask("GET", path, scope=scope, headers={"Accept": ACCEPT}, attempts=1)
                )
                return await self._pushable(ref)
        except TimeoutError as error:
            raise RegistryDown(
                f"{self._wire.url} did not answer within {_CHECK_LIMIT:g} seconds", RegistryState.UNREACHABLE
            ) from error

    async def _pushable(self, ref: ImageRef) -> RegistryState:
        """Whether an upload may begin; the upload is given up at once. Proven again every few minutes."""
        if _now() < self._pushable_until:
            return RegistryState.READY
        scope = push_scope(ref.repository)
        begun = await self._wire.ask(
            "POST", f"/v2/{ref.repository}/blobs/uploads/", scope=scope, data=b"", attempts=1
        )
        if begun.status == 405:
            return RegistryState.READ_ONLY
        if begun.status in (401, 403):
            raise denied(begun, "write")
        if begun.status not in (201, 202):
            raise strange(begun)
        self._pushable_until = _now() + _PROVEN
        if location := upload_url(begun):
            await self._wire.ask("DELETE", location, scope=scope, attempts=1)
        return RegistryState.READY


def manifest_path(ref: ImageRef) -> str:
    return f"/v2/{ref.repository}/manifests/{ref.reference}"


def pull_scope(ref: ImageRef) -> str:
    return f"repository:{ref.repository}:pull"


def push_scope(repository: str) -> str:
    return f"repository:{repository}:pull,push"


def media_type(reply: Reply) -> str:
    return reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def json_object(reply: Reply) -> dict[str, object]:
    """The answer's body; empty when it is no JSON object."""
    try:
        answer = json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def upload_url(reply: Reply) -> str | None:
    """Where an upload that has begun goes on; some registries say it without their host."""
    location = reply.headers.get("Location")
    return urljoin(reply.url, location) if location else None


def denied(reply: Reply, what: str) -> RegistryDown:
    where = reply.url.partition("?")[0]
    return RegistryDown(f"{where}: not allowed to {what} (status {reply.status})", RegistryState.DENIED)


def strange(reply: Reply) -> RegistryDown:
    where = reply.url.partition("?")[0]
    return RegistryDown(
        f"{where}: status {reply.status} and no answer that a registry gives", RegistryState.NOT_A_REGISTRY
    )


def _speaks(reply: Reply) -> bool:
    return reply.headers.get("Docker-Distribution-Api-Version", "") == "registry/2.0"


def _now() -> float:
    return asyncio.get_running_loop().time()
