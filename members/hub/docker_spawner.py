"""One temporary session as a container: limits, no rights, an address of its own, no trace left.

Knows the engine and what a session may do; knows no build, no registry (the member pulls before) and no visitor.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import requests
from docker.errors import APIError, DockerException, NotFound
from dockerspawner import DockerSpawner
from traitlets import Unicode
from traitlets.config import Config

from members.adapters.hub_parameters import DockerSessions, HubParameters
from members.core.enginefit import ALONE
from members.core.labels import RUN
from members.hub.engine_watch import EngineWatch
from members.hub.jupyter import arguments, variables
from members.hub.not_started import NotStarted
from members.hub.readiness import until_it_answers
from members.hub.turns import Turns

# BinderHub's `jupyter-notebook`, which images of every age have, or what else the image has: Debian's shell and
# busybox both know `command -v`. The page to begin with is JupyterLab where there is one.
_START = """
if command -v jupyter-lab >/dev/null 2>&1; then
  set -- --NotebookApp.default_url=/lab --ServerApp.default_url=/lab --JupyterNotebookApp.default_url=/lab "$@"
fi
for server in jupyter-notebook jupyter-lab jupyter-server; do
  if command -v "$server" >/dev/null 2>&1; then exec "$server" "$@"; fi
done
echo "This image has no Jupyter: none of jupyter-notebook, jupyter-lab and jupyter-server is on its PATH." >&2
exit 127
"""
_PORT = 8888
_STARTS_PER_CORE = 2  # a start also waits for the engine and the disk
_LONGEST_TURN = 10.0  # seconds
_ENGINE_THREADS = 8  # requests to the engine at once; DockerSpawner's own single one would queue all sessions
_LOOKS_PER_INSPECTION = 6  # the server is asked more often than the engine
_SHOWN_LINES = 8  # of a failed server's log, for the visitor
_LARGEST_LOG = {"max-size": "5m", "max-file": "1"}  # of a container, on the engine's disk
_REMOVAL_LIMIT = 60.0  # seconds in which an engine that does not answer may come back
_START_PATIENCE = 2.0  # the same after a start that failed: a visitor waits to read why
_REMOVAL_PAUSE = 0.5
_LOOK_EVERY = 30  # seconds; the engine tells of an end at once, so this is for what it forgot to tell
_UNREACHABLE = (requests.exceptions.RequestException, DockerException)


def configure(c: Config, parameters: HubParameters, sessions: DockerSessions) -> None:
    """Sessions are to be started here."""
    c.JupyterHub.spawner_class = ContainerSpawner
    spawner = c.ContainerSpawner
    # As long as a launch: an answer that was not waited for would leave a container that nobody knows.
    spawner.client_kwargs = {"base_url": sessions.docker_host, "timeout": int(parameters.launch_timeout) + 1}
    spawner.poll_interval = _LOOK_EVERY
    spawner.network_name = sessions.network
    spawner.use_internal_ip = True
    spawner.allow_origin = parameters.allow_origin
    spawner.mem_limit = sessions.memory
    spawner.cpu_limit = sessions.cpu
    spawner.extra_create_kwargs = {"labels": dict(sessions.labels)}
    spawner.extra_host_config = {
        "memswap_limit": sessions.memory,  # no swap beyond the limit
        "pids_limit": sessions.pids,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "init": True,
        "log_config": {"type": "json-file", "config": _LARGEST_LOG},
    }


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_ENGINE_THREADS, "engine")


@cache
def _turns() -> Turns:
    return Turns(_STARTS_PER_CORE * (os.cpu_count() or 1), _LONGEST_TURN)


@cache
def _watch(host: str, run: str) -> EngineWatch:
    return EngineWatch(host.removeprefix("unix://"), f"{RUN}={run}")


def _not_started(error: APIError) -> NotStarted:
    return NotStarted(f"The container could not start: {error.explanation}", reason="engine")


class ContainerSpawner(DockerSpawner):
    """Starts the image's own Jupyter server. Needs the options `image` and `token`; the rest is BinderHub's."""

    allow_origin = Unicode(config=True, help="Access-Control-Allow-Origin of sessions; empty sends none.")

    _placing: asyncio.Future[str] | None = (
        None  # from the first request to the engine until it has answered all
    )

    @property
    def executor(self) -> ThreadPoolExecutor:
        return _threads()

    @property
    def watch(self) -> EngineWatch:
        return _watch(self.client_kwargs["base_url"], self.extra_create_kwargs["labels"][RUN])

    async def start(self) -> str:
        """The URL of a server that answers: the hub's own, slower polling then ends at its first look."""
        self.image = str(self.user_options["image"])
        self.port = _PORT
        async with _turns().turn():
            self._placing = asyncio.ensure_future(self._place())
            try:
                url = f"http://{await asyncio.shield(self._placing)}:{self.port}"
                await until_it_answers(f"{url}{self.server.base_url}", self._look())
            except BaseException:
                await self._remove(patience=_START_PATIENCE)
                raise
        return url

    async def stop(self, now: bool = False) -> None:
        """Removes the container at once: there is nothing in a session that a slower end would save."""
        await self._remove()

    async def run_post_stop_hook(self) -> None:
        """The hub calls this however the session ended, also by itself or before it began."""
        await self._remove()

    async def poll(self) -> int | None:
        """None while the session lives, or while nobody can say: an engine that restarts is no end."""
        if self._placing is None:
            return 0
        if not self._placing.done():
            return None
        try:
            state = await self._state()
        except NotFound:
            return 0
        except _UNREACHABLE as error:
            self.log.warning("The engine does not tell about session %s: %s", self.user.name, error)
            return None
        return None if state["Running"] else int(state["ExitCode"])

    def get_env(self) -> dict[str, str]:
        """Nothing of the hub's: a session has no business there."""
        found = variables(self.user_options, user=self.user.name, base_url=self.server.base_url)
        found |= {"JUPYTER_IMAGE_SPEC": self.image, "MEM_LIMIT": str(self.mem_limit)}
        if self.cpu_limit is not None:
            found["CPU_LIMIT"] = str(self.cpu_limit)
        return found

    async def get_command(self) -> list[str]:
        """The server, through a shell that finds out which one the image has."""
        settings = {"ip": "0.0.0.0", "port": str(self.port)}
        options = arguments(settings, base_url=self.server.base_url, allow_origin=self.allow_origin)
        return ["/bin/sh", "-c", _START, "jupyter", *options]

    async def _ask(self, method: str, *arguments: object, **named: object) -> Any:
        """One request to the engine, by the name of docker-py's method, in a thread."""
        return await self.docker(method, *arguments, **named)  # type: ignore[no-untyped-call]

    async def _place(self) -> str:
        """Creates and starts the container; its address. Runs to its end even if nobody waits any more."""
        async with self._told():
            await self.watch.clear(self.container_name)
            created = await self.create_object()  # type: ignore[no-untyped-call]
            self.object_id = created["Id"]
            try:
                await self._ask("start", self.object_id)
            except NotFound as error:
                if "network" not in str(error.explanation):
                    raise
                await self._make_network()  # somebody tidied the engine up
                await self._ask("start", self.object_id)
            self.log.info("Session %s is container %s", self.user.name, self.object_id[:12])
            found = await self._ask("inspect_container", self.object_id)
            self.watch.follow(self.container_name, self._may_have_ended)
            return str(found["NetworkSettings"]["Networks"][self.network_name]["IPAddress"])

    async def _may_have_ended(self) -> None:
        if self._poll_callback is not None:  # JupyterHub looks after it: it is ready and not being stopped
            await self.poll_and_notify()  # type: ignore[no-untyped-call]

    async def _make_network(self) -> None:
        labels = self.extra_create_kwargs["labels"]
        await self._ask(
            "create_network", self.network_name, "bridge", options=ALONE, labels=labels, check_duplicate=True
        )

    @asynccontextmanager
    async def _told(self) -> AsyncIterator[None]:
        """Turns what the engine says into sentences for the visitor."""
        try:
            yield
        except NotFound as error:
            if "image" in str(error.explanation).lower():
                raise NotStarted(f"Image {self.image} is not on this member", reason="image") from error
            raise _not_started(error) from error
        except APIError as error:
            raise _not_started(error) from error
        except _UNREACHABLE as error:
            raise NotStarted("The container engine does not answer", reason="engine") from error

    def _look(self) -> Callable[[], Awaitable[None]]:
        """A look whether the container still runs, which asks the engine only now and then."""
        looks = 0

        async def alive() -> None:
            nonlocal looks
            if looks % _LOOKS_PER_INSPECTION == 0:
                async with self._told():
                    state = await self._state()
                if not state["Running"]:
                    raise NotStarted(await self._obituary(state), reason="exited")
            looks += 1

        return alive

    async def _state(self) -> dict[str, Any]:
        found = await self._ask("inspect_container", self.container_name)
        state: dict[str, Any] = found["State"]
        return state

    async def _obituary(self, state: dict[str, Any]) -> str:
        try:
            log = await self._ask("logs", self.container_name, tail=_SHOWN_LINES)
        except _UNREACHABLE:
            log = b""
        why = "it used more memory than it may" if state.get("OOMKilled") else f"status {state['ExitCode']}"
        lines = log.decode(errors="replace").strip()
        return (
            f"The session's container ended while starting ({why}). {lines or state.get('Error', '')}".strip()
        )

    async def _remove(self, patience: float = _REMOVAL_LIMIT) -> None:
        """Removes the container, however far its start has come.

        Waits `patience` seconds for an engine that is gone; then the engine's watch goes on trying.
        """
        if self._placing is None:
            return
        self.watch.forget(self.container_name)
        await asyncio.wait({self._placing})
        if not self._placing.cancelled():
            self._placing.exception()  # told already, or to nobody
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            try:
                await self._ask("remove_container", self.container_name, v=True, force=True)
            except NotFound:
                pass
            except _UNREACHABLE as error:
                if asyncio.get_running_loop().time() < deadline:
                    await asyncio.sleep(_REMOVAL_PAUSE)
                    continue
                self.log.error("Container %s stays for now: %s", self.container_name, error)
                self.watch.left_behind(self.container_name)
            self._placing = None
            self.object_id = ""
            return
