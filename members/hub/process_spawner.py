"""One temporary session as JupyterHub sees it: a copy of the image's files, a server, no trace left.

Knows where images are unpacked; knows no build, no quota and no visitor.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path
from threading import Event
from urllib.parse import quote

from jupyterhub.spawner import LocalProcessSpawner
from jupyterhub.utils import random_port
from traitlets import Instance, Integer, Unicode, UseEnum
from traitlets.config import Config

from members.adapters import trees
from members.adapters.blocking import blocking
from members.adapters.hub_parameters import HubParameters, ProcessSessions
from members.adapters.oci_layout import START_LABEL, labels_of, unpacked_path
from members.adapters.sandbox import Limits, wrap
from members.core.model import Isolation
from members.hub import layer
from members.hub.not_started import NotStarted
from members.hub.readiness import LOOK_EVERY, until_it_answers
from members.hub.server import Places, command, environment, inherited

_GRACE = 8.0  # seconds from SIGTERM to SIGKILL; without a sandbox the reaper itself takes up to five
_SHOWN_LINES = 8  # of a failed server's log, for the visitor
_REMOVAL_TRIES = 10


def configure(c: Config, parameters: HubParameters, sessions: ProcessSessions) -> None:
    """Sessions are to be started here."""
    c.JupyterHub.spawner_class = ProcessSpawner
    spawner = c.ProcessSpawner
    spawner.state_dir = str(parameters.state_dir)
    spawner.sessions_dir = str(parameters.sessions_dir)
    spawner.isolation = sessions.isolation
    spawner.memory = sessions.memory
    spawner.allow_origin = parameters.allow_origin


class ProcessSpawner(LocalProcessSpawner):
    """Starts the image's own JupyterLab. Needs the options `image` and `token`; the rest is BinderHub's."""

    state_dir = Unicode(config=True, help="The member's folder, where images are unpacked.")
    sessions_dir = Unicode(config=True, help="Holds one folder for each running session.")
    isolation = UseEnum(Isolation, default_value=Isolation.NONE, config=True, help="How sessions are fenced.")
    memory = Integer(None, allow_none=True, config=True, help="Bytes of address space of each process.")
    allow_origin = Unicode(config=True, help="Access-Control-Allow-Origin of sessions; empty sends none.")

    places = Instance(Places, allow_none=True)

    async def start(self) -> str:
        """The URL of a server that answers: the hub's own, slower polling then ends at its first look."""
        image = str(self.user_options["image"])
        unpacked = unpacked_path(Path(self.state_dir), image)
        if not (unpacked / "env" / "bin" / "jupyter-lab").is_file():
            raise NotStarted(f"Image {image} has no JupyterLab on this member", reason="image")
        start = labels_of(unpacked).get(START_LABEL)
        folder = Path(self.sessions_dir) / quote("/".join(filter(None, (self.user.name, self.name))), safe="")
        self.places = Places(self.isolation, unpacked / "env", folder)
        await self._prepare(self.places, unpacked / "home")
        self.port = random_port()
        self.proc = self._launch(self.places, start)
        self.pid = self.proc.pid
        self.log.info("Session %s is process %s", self.user.name, self.pid)
        try:
            await self._until_it_answers(self.proc)
        except BaseException:
            await self.stop(now=True)
            raise
        return f"http://127.0.0.1:{self.port}"

    async def stop(self, now: bool = False) -> None:
        """Ends the server and everything it started, at most some seconds later."""
        process = self.proc
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        if not await _ended(process, within=_GRACE):
            self.log.warning("Session %s did not end in %s s, killing it", self.user.name, _GRACE)
            process.kill()
            await _ended(process, within=_GRACE)

    async def run_post_stop_hook(self) -> None:
        """Removes the session's files; the hub calls this however the session ended, also before it began."""
        if self.places is None:
            return
        for attempt in range(_REMOVAL_TRIES):
            try:
                await asyncio.to_thread(trees.remove, self.places.folder)
                return
            except OSError as error:  # a process that is just dying may still have written a file
                if attempt + 1 == _REMOVAL_TRIES:
                    self.log.error("Files of session %s stay behind: %s", self.user.name, error)
                await asyncio.sleep(0.1)

    async def _prepare(self, places: Places, files: Path) -> None:
        def prepare(stop: Event) -> None:
            trees.remove(places.folder)
            places.folder.mkdir(mode=0o700, parents=True)
            places.temporary.mkdir()
            trees.copy(stop, files, places.home)
            layer.create(
                places.layer,
                places.environment,
                seen_layer=places.seen(places.layer),
                seen_environment=places.seen(places.environment),
            )

        try:
            await blocking(prepare)
        except (OSError, layer.NoEnvironment) as error:
            raise NotStarted(f"The session's files could not be prepared: {error}", reason="files") from error

    def _launch(self, places: Places, start: str | None) -> subprocess.Popen[bytes]:
        """From the hub's main thread: the sandbox dies with the thread that started it."""
        base_url = self.server.base_url
        jupyter = command(
            places, start=start, port=self.port, base_url=base_url, allow_origin=self.allow_origin
        )
        argv = wrap(
            places.isolation,
            jupyter,
            mounts=places.mounts,
            workdir=places.seen(places.home),
            limits=Limits(memory=self.memory),
        )
        variables = environment(
            places, self.user_options, user=self.user.name, base_url=base_url, inherited=inherited()
        )
        with places.log.open("wb") as log:
            return subprocess.Popen(
                argv,
                env=variables,
                cwd=places.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    async def _until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        """Returns at the server's first answer; raises NotStarted when its process has ended instead."""

        async def alive() -> None:
            if process.poll() is not None:
                raise NotStarted(self._obituary(process.returncode), reason="exited")

        await until_it_answers(f"http://127.0.0.1:{self.port}{self.server.base_url}", alive)

    def _obituary(self, status: int) -> str:
        assert self.places is not None
        with self.places.log.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - 4096))
            lines = log.read().decode(errors="replace").strip().splitlines()[-_SHOWN_LINES:]
        return f"The session's server ended while starting (status {status}). " + "\n".join(lines)


async def _ended(process: subprocess.Popen[bytes], *, within: float) -> bool:
    deadline = asyncio.get_running_loop().time() + within
    while process.poll() is None:
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(LOOK_EVERY)
    return True
