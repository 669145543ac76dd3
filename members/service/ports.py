"""What the service floor asks of the world. Adapters and providers implement these; nothing here awaits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from members.core.model import BuildLine, HealthCheck, LaunchRequest, Resolved, SessionRequest
from members.core.phases import News


class Provider(Protocol):
    """Turns specs of one kind into immutable versions of a repository."""

    id: str
    name: str  # the label of metrics: GitHub, Git, ...
    head_fallback: bool  # whether a missing master or main may be replaced by HEAD

    async def resolve(self, spec: str) -> Resolved | None:
        """The pinned version of a raw spec; None when the ref does not exist.

        Raises SpecError for a malformed spec and ResolveError when the lookup itself failed.
        """

    def display(self) -> dict[str, object]:
        """This provider's entry of `/api/repoproviders`."""


class ImageStore(Protocol):
    """The images that all members share."""

    async def has(self, image: str) -> bool:
        """Whether the common store holds the image."""

    def fetch(self, image: str) -> AsyncIterator[str]:
        """Makes the image startable on this member, telling progress as lines (none when it already is).

        Single flight per image. Raises LaunchFailed when the store cannot deliver it.
        """

    async def check(self) -> bool:
        """Whether the store answers and can be written to."""


class Builder(Protocol):
    """Builds a repository and stores the result in the common store."""

    def build(self, source: Resolved, image: str) -> AsyncIterator[BuildLine]:
        """Fetches, builds and stores; ends when the image is in the common store and known by its name.

        Raises BuildFailed (the repository's fault) or BuildBroken (ours). Closing the iterator early ends
        every process of the build and removes its leftovers.
        """

    def info(self) -> dict[str, object]:
        """`builder_info` of `/versions`."""


class Session(Protocol):
    """One temporary user and server at the hub, from creation to ready or removal."""

    url: str  # public URL of the server, with trailing slash; set before `progress` ends

    def progress(self) -> AsyncIterator[str]:
        """Creates the user, requests the server and tells the hub's messages; ends when the server answers.

        Raises LaunchFailed, or QuotaExceeded when the hub is full. Messages are as JupyterHub's, e.g. 'Server
        requested'.
        """

    async def remove(self) -> None:
        """Stops the server and deletes the temporary user, however far `progress` came.

        Succeeds when they are already gone.
        """


class Hub(Protocol):
    """JupyterHub, where sessions live."""

    def create(self, request: SessionRequest) -> Session:
        """A session with a name of its own, of which the hub learns when its `progress` is asked for."""

    async def sessions(self) -> dict[str, int]:
        """Running or pending sessions by image name; raises LaunchFailed when the hub does not answer."""

    async def check(self) -> HealthCheck:
        """`JupyterHub API` of `/health`; never raises."""


class Run(Protocol):
    """All events of one launch, each asked for when the one before is on its way to the visitor."""

    def __call__(self, request: LaunchRequest) -> AsyncIterator[News]: ...
