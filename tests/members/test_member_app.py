"""A whole member: with a fake world, as the real command, and once with everything real."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import aiohttp
import psutil
from contract_files import told, without_comments
from member_fakes import FakeBuilder, FakeHub, FakeStore, until
from playwright.async_api import async_playwright
from pytest import TempPathFactory, fixture, mark, raises

from members.app import MemberFailed, serve
from members.core.facts import BuildEnded, Fact, LaunchEnded, Tell
from members.runtimes.world import World
from members.settings import Settings, parse

SHA = "a" * 40
EVENTS = {"Accept": "text/event-stream"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Stage:
    """A member on fakes."""

    settings: Settings
    store: FakeStore = field(default_factory=FakeStore)
    hub: FakeHub = field(default_factory=FakeHub)
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    announced: list[str] = field(default_factory=list)
    told: list[Fact] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        self.builder = FakeBuilder(self.store)

    @asynccontextmanager
    async def world(self, settings: Settings, tell: Tell) -> AsyncIterator[World]:
        async def lost() -> str:
            await self.lost.wait()
            return "the hub ended"

        try:
            isolation = "none: launch only what you trust"
            yield World(self.store, self.builder, self.hub, isolation, lost, (self.told.append,))
        finally:
            self.closed = True

    async def run(self) -> None:
        await serve(self.settings, self.world, announce=self.announced.append, stop=self.stop)


@fixture
async def stage(tmp_path: Path) -> Stage:
    return Stage(parse(f"port: {free_port()}", tmp_path / "member.yaml", {}))


def launch_path(repo: str, ref: str = SHA) -> str:
    return f"build/git/{quote(repo, safe='')}/{ref}"


async def events(url: str, contract: str = "") -> list[dict[str, object]]:
    """What one launch tells; its stream is compared with the `contract` file, if there is one."""
    async with aiohttp.ClientSession() as http, http.get(url, headers=EVENTS) as answer:
        body = await answer.read()
    if contract:
        told(contract, without_comments(body))
    return [
        json.loads(line.removeprefix(b"data: ")) for line in body.split(b"\n") if line.startswith(b"data: ")
    ]


async def test_a_member_from_start_to_stop(stage: Stage) -> None:
    member = asyncio.create_task(stage.run())
    await until(lambda: stage.announced)
    url = stage.announced[0]
    assert url == stage.settings.url
    story = await events(url + launch_path("https://host/repo"))
    assert story[-1]["phase"] == "ready"
    assert story[-1]["binder_launch_host"] == url
    assert len(str(story[-1]["token"])) == 22
    async with aiohttp.ClientSession() as http:
        metrics = await (await http.get(url + "metrics")).text()
        assert (
            'binderhub_build_count_total{provider="Git",repo="https://host/repo",status="success"} 1.0'
            in metrics
        )
        ids = [entry["id"] for entry in await (await http.get(url + "api/repoproviders")).json()]
        assert ids == ["gh", "git"]
        assert "launch only what you trust" in await (await http.get(url)).text()
    stage.stop.set()
    await asyncio.wait_for(member, 10)
    assert stage.closed
    ended = [type(fact) for fact in stage.told if isinstance(fact, (BuildEnded, LaunchEnded))]
    assert ended == [BuildEnded, LaunchEnded]


async def test_it_is_announced_only_when_it_is_well(stage: Stage) -> None:
    stage.hub.well = False
    member = asyncio.create_task(stage.run())
    await asyncio.sleep(0.5)
    assert stage.announced == []
    stage.hub.well = True
    await until(lambda: stage.announced)
    stage.stop.set()
    await asyncio.wait_for(member, 10)


async def test_stopping_ends_streams_and_builds_cleanly(stage: Stage) -> None:
    member = asyncio.create_task(stage.run())
    await until(lambda: stage.announced)
    stage.builder.gate.clear()
    launch = asyncio.create_task(
        events(stage.announced[0] + launch_path("https://host/repo"), "member/shutting-down")
    )
    await until(lambda: stage.builder.begun)
    await asyncio.sleep(0.05)
    stage.stop.set()
    story = await asyncio.wait_for(launch, 10)
    assert (story[-1]["phase"], story[-1]["status_code"]) == ("failed", 503)
    await asyncio.wait_for(member, 10)
    assert stage.builder.ended == stage.builder.begun
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_a_member_ends_with_its_hub(stage: Stage) -> None:
    member = asyncio.create_task(stage.run())
    await until(lambda: stage.announced)
    stage.lost.set()
    with raises(MemberFailed, match="the hub ended"):
        await asyncio.wait_for(member, 10)
    assert stage.closed


async def test_a_taken_port_is_told(stage: Stage) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", stage.settings.port))
        taken.listen()
        with raises(OSError, match=str(stage.settings.port)):
            await stage.run()
    assert stage.closed


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "members.cli", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, env=os.environ | variables)


def test_check_config(tmp_path: Path) -> None:
    file = tmp_path / "member.yaml"
    file.write_text("port: 8585\n")
    assert command("check-config", str(file)).returncode == 0
    file.write_text("prot: 8585\nhost: 0.0.0.0\n")
    for result in (command("check-config", str(file)), command("serve", "--config", str(file))):
        assert result.returncode == 1
        assert f"{file}:1: prot: unknown key" in result.stderr
        assert f"{file}:2: host: '0.0.0.0'" in result.stderr
        assert "Traceback" not in result.stderr


def test_print_schema() -> None:
    schema = json.loads(command("print-schema").stdout)
    assert schema["additionalProperties"] is False
    assert "image_prefix" in schema["properties"]


@mark.parametrize(
    ("pid", "message"), [("x", "expected the pid"), ("1", "not the parent"), ("-5", "expected")]
)
def test_a_parent_that_is_none(tmp_path: Path, pid: str, message: str) -> None:
    file = tmp_path / "member.yaml"
    file.write_text("{}\n")
    result = command("serve", "--config", str(file), BINDER_EXIT_WITH_PARENT=pid)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def git(*arguments: str, cwd: Path) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True)


@fixture(scope="module")
def images(tmp_path_factory: TempPathFactory) -> Path:
    """The common store: kept between the tests, so that the base environment is made once."""
    return tmp_path_factory.mktemp("images") / "store"


def write_config(folder: Path, images: Path, name: str) -> Path:
    """A member that may open the repositories beside it."""
    file = folder / f"{name}.yaml"
    file.write_text(
        f"name: {name}\nport: {free_port()}\nstate_dir: state-{name}\nimages: {{store: {images}}}\n"
        f"hub: {{port: {free_port()}}}\nsessions: {{max: 2}}\n"
        "providers: {git: {protocols: [file], file_roots: [repos]}}\n"
    )
    return file


@fixture
def config(tmp_path: Path, images: Path) -> Path:
    """A member with one repository."""
    repo = tmp_path / "repos" / "plain"
    repo.mkdir(parents=True)
    git("init", "-q", "-b", "main", cwd=repo)
    (repo / "requirements.txt").write_text("six\n")
    git("add", ".", cwd=repo)
    git("commit", "-q", "-m", "one", cwd=repo)
    return write_config(tmp_path, images, "first")


@asynccontextmanager
async def started(config: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The real command, whose process and URL are told when it is ready."""
    with (config.parent / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "members.cli", "serve", "--config", str(config)),
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=os.environ | {"BINDER_EXIT_WITH_PARENT": str(os.getpid())},
        )
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 90)).decode()
        assert line.startswith("Member ready: "), (config.parent / "log").read_text()
        yield process, line.removeprefix("Member ready: ").strip()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def result_of(http: aiohttp.ClientSession, server: str, token: str, code: str) -> str:
    """What a new kernel of a server answers to `code`, over its websocket as a browser would ask."""
    headers = {"Authorization": f"token {token}"}
    async with http.post(f"{server}api/kernels", headers=headers, json={"name": "python3"}) as answer:
        assert answer.status == 201, await answer.text()
        kernel = (await answer.json())["id"]
    async with http.ws_connect(f"{server}api/kernels/{kernel}/channels", headers=headers) as socket_:
        header = {
            "msg_id": "m",
            "msg_type": "execute_request",
            "username": "",
            "session": "s",
            "version": "5.3",
        }
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        message = {
            "header": header,
            "parent_header": {},
            "metadata": {},
            "content": content,
            "channel": "shell",
        }
        await socket_.send_json(message)
        async for received in socket_:
            reply = received.json()
            if reply["msg_type"] in ("execute_result", "error"):
                return str(reply["content"].get("data", {}).get("text/plain") or reply["content"])
    raise AssertionError("the kernel's connection ended")


def below(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


async def gone(processes: list[psutil.Process], limit: float = 20) -> None:
    await until(
        lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes), limit
    )


@mark.integration
@mark.timeout(300)
async def test_a_real_launch_ends_in_a_server_that_answers(config: Path) -> None:
    repo = f"file://{config.parent}/repos/plain"
    async with started(config) as (process, url), aiohttp.ClientSession() as http:
        assert (await http.get(url + "health")).status == 200
        first, second = await asyncio.gather(
            *(
                events(url + launch_path(repo, "main"), f"process/{name}")
                for name in ("cold-launch", "joined-build")
            )
        )
        for story in (first, second):
            assert story[-1]["phase"] == "ready", story
            assert [event.get("phase") for event in story].count("waiting") == 1
        server, token = str(first[-1]["url"]), str(first[-1]["token"])
        async with http.get(f"{server}api/status", params={"token": token}) as answer:
            assert answer.status == 200, await answer.text()
        async with http.get(f"{server}api/status") as answer:
            assert answer.status == 403
        assert await asyncio.wait_for(result_of(http, server, token, "import six; 1 + 1"), 60) == "2"
        metrics = await (await http.get(url + "metrics")).text()
        assert f'binderhub_build_count_total{{provider="Git",repo="{repo}",status="success"}} 1.0' in metrics
        full = await events(url + launch_path(repo, "main"), "process/quota-total")
        assert full[-1]["message"] == "Too many users on this BinderHub! Try again soon.\n"

        children = below(process.pid)
        assert children
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 40) == 0
        await gone(children)


@mark.integration
@mark.timeout(300)
async def test_a_second_member_fetches_what_the_first_built(config: Path, images: Path) -> None:
    repo = f"file://{config.parent}/repos/plain"
    config.write_text(f"{config.read_text()}api_only: true\n")
    async with started(config) as (_, url):
        story = await events(f"{url}{launch_path(repo, 'main')}?build_only=true", "process/build-only")
        assert story[-1]["message"] == "Done! Image built\n", story
    async with (
        started(write_config(config.parent, images, "second")) as (_, url),
        aiohttp.ClientSession() as http,
    ):
        story = await events(url + launch_path(repo, "main"), "process/pull")
        assert story[0]["message"] == "Found built image, launching...\n", story
        assert story[-1]["phase"] == "ready", story
        metrics = await (await http.get(url + "metrics")).text()
        assert "binder_member_image_fetch_seconds_count 1.0" in metrics
        assert "binderhub_build_count_total{" not in metrics


@mark.integration
@mark.timeout(200)
@mark.parametrize("how", ["kill", "hub"])
async def test_nothing_outlives_a_member_that_dies(config: Path, how: str) -> None:
    async with started(config) as (process, _):
        children = below(process.pid)
        assert len(children) >= 2
        if how == "kill":
            process.kill()
        else:
            hub = next(child for child in children if "jupyterhub" in " ".join(child.cmdline()))
            hub.kill()
        assert await asyncio.wait_for(process.wait(), 40) != 0
        await gone(children)
    if how == "hub":
        log = (config.parent / "log").read_text()
        assert "JupyterHub ended by itself" in log
        assert "Traceback" not in log


AUTH = """
auth:
  enabled: true
  authenticator: dummy
  config: {DummyAuthenticator: {password: open-sesame}, Authenticator: {allow_all: true}}
"""


@mark.integration
@mark.timeout(300)
async def test_a_visitor_logs_in_and_launches_a_server_of_their_own(config: Path) -> None:
    """In a real browser, from a launch link over the hub's login page to the notebook."""
    config.write_text(config.read_text() + AUTH)
    path = launch_path(f"file://{config.parent}/repos/plain", "main")
    async with started(config) as (_, url), async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = await browser.new_page()
        await page.goto(f"{url}{path.replace('build', 'v2', 1)}?urlpath=api/status")
        await page.fill("[name=username]", "ada")
        await page.fill("[name=password]", "open-sesame")
        await page.click("[type=submit]")
        await page.wait_for_url(f"{url}v2/**")
        await page.wait_for_url("**/user/ada/api/status?token=*", timeout=120_000)
        assert '"kernels": 0' in await page.inner_text("body")
        server = page.url

        stranger = await events(url + path)
        assert stranger == [{"phase": "failed", "status_code": 403, "message": "Forbidden\n"}]
        await page.goto(url + path.replace("build", "v2", 1))
        await page.locator("#end").wait_for()
        assert "ada already has a running server" in await page.inner_text("#end-message")
        other = await browser.new_context()  # the token alone opens the session, whoever brings it
        answers = [await other.request.get(address) for address in (server.partition("?")[0], server)]
        assert [answer.status for answer in answers] == [403, 200]
        await browser.close()
