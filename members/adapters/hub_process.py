"""Runs JupyterHub, and through it its proxy and sessions, as children that never outlive the member.

Knows how they start and end; launches go through hub_client.py. If the hub ends by itself, `wait` returns:
the member should then end too, because its sessions died with the hub.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import aiohttp

import members
from members.adapters import hub_parameters, trees
from members.adapters.hub_parameters import HubParameters, Sessions
from members.adapters.leash import leashed

CONFIG = Path(__file__).parent.parent / "hub" / "jupyterhub_config.py"
_LARGEST_LOG = 10 * 1024**2  # bytes, then the log of the run before is set aside
_LOOK_EVERY = 0.1  # seconds between two looks at a starting hub
_DYING = 8.0  # seconds that killed sessions may take to end: without a sandbox they get some of grace
# What the hub and, through it, the sessions may know of the member's environment.
_PASSED_ON = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)


class HubFailed(Exception):
    """The hub did not become ready; the message says why and where its log is."""


class HubProcess:
    """One JupyterHub with its proxy. Use `start`, then `wait` or `stop`; once only."""

    def __init__(
        self,
        *,
        state_dir: Path,
        host: str,
        port: int,
        proxy_command: Sequence[str],
        sessions: Sessions,
        public_url: str,
        max_sessions: int | None,
        idle_timeout: float,
        max_age: float,
        launch_timeout: float,
        allow_origin: str = "*",
        front_door: str | None = None,
        log_level: str = "info",
        start_limit: float = 60.0,
        stop_limit: float = 20.0,
    ) -> None:
        """`host` and `port` are the proxy's, `public_url` is how visitors reach it (its path is the prefix of
        all sessions), `sessions` what these run in. Times in seconds, None is no limit. `front_door` is where
        the page of an ended session leads.
        """
        self._state_dir = state_dir.resolve()
        self._address = (host, port)
        self._start_limit = start_limit
        self._stop_limit = stop_limit
        self._process: asyncio.subprocess.Process | None = None
        self._lock: IO[str] | None = None
        hub_port, proxy_port = _free_ports(2)
        self._parameters = HubParameters(
            state_dir=self._state_dir,
            host=host,
            port=port,
            base_url=f"{urlsplit(public_url).path.rstrip('/')}/",
            hub_port=hub_port,
            proxy_port=proxy_port,
            proxy_command=tuple(proxy_command),
            api_token=secrets.token_hex(32),
            proxy_token=secrets.token_hex(32),
            cookie_secret=secrets.token_hex(32),
            sessions=sessions,
            max_sessions=max_sessions,
            idle_timeout=idle_timeout,
            max_age=max_age,
            launch_timeout=launch_timeout,
            allow_origin=allow_origin,
            front_door=front_door,
            log_level=log_level,
        )
        self._folder = self._parameters.folder
        self._file = self._folder / "parameters.json"

    @property
    def api_url(self) -> str:
        """The hub's REST API, on loopback and not through the proxy; with trailing slash."""
        return f"http://127.0.0.1:{self._parameters.hub_port}{self._parameters.base_url}hub/api/"

    @property
    def proxied_api_url(self) -> str:
        """The same through the proxy, as visitors reach it; with trailing slash."""
        return f"{self._parameters.own_url}hub/api/"

    @property
    def api_token(self) -> str:
        """The token of the service that may create users and servers."""
        return self._parameters.api_token

    @property
    def log_file(self) -> Path:
        return self._folder / "hub.log"

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    async def start(self) -> None:
        """Returns when hub and proxy answer. Raises HubFailed, and then nothing is left running."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take_lock()
        try:
            await self._until_port_is_free()
            await self._clean()
            await self._spawn()
            async with asyncio.timeout(self._start_limit):
                await self._until_ready()
        except TimeoutError:
            await self.stop()
            raise HubFailed(
                f"JupyterHub was not ready after {self._start_limit:.0f} s; see {self.log_file}"
            ) from None
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> int:
        """The hub's exit status as soon as it ends, for whatever reason."""
        assert self._process is not None, "not started"
        return await self._process.wait()

    async def stop(self) -> None:
        """Ends the hub, its proxy and all sessions, at the latest after the stop limit; may be called twice.

        When the time is up the hub is killed; everything below it is tied to it and dies at once.
        """
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(self._stop_limit):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if self._lock is not None:
            try:
                await self._clean()
            finally:
                self._lock.close()
                self._lock = None

    def _take_lock(self) -> None:
        """Two members on one folder would remove each other's sessions. The kernel lets go when we die."""
        lock = (self._folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise HubFailed(
                f"state_dir: another member runs on {self._state_dir}; give each its own"
            ) from None
        self._lock = lock

    async def _until_port_is_free(self) -> None:
        """A killed predecessor's proxy may still be dying."""
        host, port = self._address
        try:
            await _patiently(lambda: _bind_once(host, port))
        except OSError as error:
            raise HubFailed(f"hub.port: {host} port {port} cannot be used: {error.strerror}") from None

    async def _clean(self) -> None:
        """Removes what sessions leave, ours or a killed predecessor's; the log stays."""
        for file in (self._file, self._parameters.proxy_pid_file):
            file.unlink(missing_ok=True)
        try:
            await _patiently(lambda: trees.remove(self._parameters.sessions_dir))
        except OSError as error:
            raise HubFailed(
                f"state_dir: {self._parameters.sessions_dir} cannot be removed: {error}"
            ) from None

    async def _spawn(self) -> None:
        self._parameters.sessions_dir.mkdir(mode=0o700)
        hub_parameters.write(self._parameters, self._file)
        variables = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        variables[hub_parameters.VARIABLE] = str(self._file)
        variables["PYTHONPATH"] = str(Path(members.__file__).parent.parent)
        argv = [sys.executable, "-m", "jupyterhub", "--config", str(CONFIG)]
        if self.log_file.exists() and self.log_file.stat().st_size > _LARGEST_LOG:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        with self.log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *leashed(argv, parent=os.getpid()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=variables,
                cwd=self._folder,
                start_new_session=True,
            )

    async def _until_ready(self) -> None:
        """The hub itself and the way through the proxy must both answer."""
        assert self._process is not None
        urls = [f"{self.api_url}health", f"{self.proxied_api_url}health"]
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            while urls:
                if self._process.returncode is not None:
                    raise HubFailed(self._obituary(self._process.returncode))
                try:
                    async with http.get(urls[0]) as response:
                        if response.status == 200:
                            urls.pop(0)
                            continue
                except (aiohttp.ClientError, TimeoutError):
                    pass
                await asyncio.sleep(_LOOK_EVERY)

    def _obituary(self, status: int) -> str:
        lines = self.log_file.read_text(errors="replace").strip().splitlines()[-10:]
        return f"JupyterHub ended while starting (status {status}); see {self.log_file}\n" + "\n".join(lines)


async def _patiently(act: Callable[[], None]) -> None:
    """Does it as soon as the processes of a run that just ended let us; raises their last OSError."""
    deadline = asyncio.get_running_loop().time() + _DYING
    while True:
        try:
            return await asyncio.to_thread(act)
        except OSError:
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(_LOOK_EVERY)


def _bind_once(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def _free_ports(count: int) -> list[int]:
    """Different ports that nobody uses now: all are held until the last is known."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
