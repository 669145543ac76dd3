"""Real repositories, over real folders, a real git daemon and git's own HTTP back end."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psutil
import pytest
from aiohttp import web
from door_stage import until

from federation.adapters import git_refs
from federation.adapters.addresses import is_public
from federation.adapters.git_refs import GitRefs, choose
from federation.core.launchkey import parse_launch
from federation.core.versions import lookup

COMMIT, TAG = "a" * 40, "b" * 40
CALM = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
WHO = ("-c", "user.name=T", "-c", "user.email=t@t.invalid", "-c", "tag.gpgsign=false")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *WHO, *arguments],
        cwd=folder,
        env={**os.environ, **CALM},
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.stdout.strip()


class Repository:
    """`served/repo.git` with two commits: `main` and `v1` are at the first, `old/main` at the second."""

    def __init__(self, folder: Path) -> None:
        self.served = folder / "served"
        self.path = self.served / "repo.git"
        self.path.mkdir(parents=True)
        git(self.path, "init", "--quiet", "--bare", "--initial-branch=main")
        tree = git(self.path, "hash-object", "-t", "tree", "-w", os.devnull)
        self.first = git(self.path, "commit-tree", tree, "-m", "first")
        self.second = git(self.path, "commit-tree", tree, "-m", "second", "-p", self.first)
        git(self.path, "update-ref", "refs/heads/main", self.first)
        git(self.path, "update-ref", "refs/heads/a/main", self.second)
        git(self.path, "update-ref", "refs/pull/7/head", self.second)
        git(self.path, "tag", "-a", "v1", "-m", "one", self.first)
        self.tag = git(self.path, "rev-parse", "refs/tags/v1")
        git(self.path, "update-server-info")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(tmp_path_factory.mktemp("git"))


def names(ref: str, provider: str = "gh") -> tuple[str, ...]:
    repo = "o/r" if provider == "gh" else "https%3A%2F%2Fh.example%2Fr"
    asked = lookup(parse_launch(f"/build/{provider}/{repo}/{ref}"))
    assert asked is not None
    return asked.names


def git_processes() -> list[psutil.Process]:
    """Ours that run, zombies among them."""
    return [child for child in psutil.Process().children(recursive=True) if child.name().startswith("git")]


@asynccontextmanager
async def http_server(handler: web.RequestHandler | object) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)  # type: ignore[arg-type]
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def back_end(repository: Repository, asked: list[str]) -> object:
    """What answers as git's HTTP back end does, one process for each request."""

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.path_qs)
        process = await asyncio.create_subprocess_exec(
            "git",
            "http-backend",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                **CALM,
                "GIT_PROJECT_ROOT": str(repository.served),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
                "PATH_INFO": request.path,
                "QUERY_STRING": request.query_string,
                "REQUEST_METHOD": request.method,
                "CONTENT_TYPE": request.headers.get("Content-Type", ""),
                "REMOTE_ADDR": "127.0.0.1",
            },
        )
        output, _ = await process.communicate(await request.read())
        head, _, body = output.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(fields.pop("Status", "200").split()[0])
        return web.Response(body=body, status=status, headers=fields)

    return handle


@contextmanager
def daemon(repository: Repository) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = ["git", "daemon", "--listen=127.0.0.1", f"--port={port}", "--export-all", "--reuseaddr"]
    server = subprocess.Popen(
        [*argv, f"--base-path={repository.served}", str(repository.served)],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield port
    finally:
        os.killpg(server.pid, 9)
        server.wait(10)


async def answering(url: str) -> None:
    """Returns when the daemon listens."""
    async with asyncio.timeout(20):
        while await GitRefs(allow_private=True).resolve(url, names("HEAD")) is None:
            await asyncio.sleep(0.05)


async def test_a_ref_means_what_it_means_to_members(repository: Repository) -> None:
    refs = GitRefs(file_roots=[repository.served])
    url = f"file://{repository.path}"
    found = {
        ref: await refs.resolve(url, names(ref))
        for ref in ("HEAD", "main", "a/main", "v1", "refs/heads/main", "heads/a/main", "pull/7/head", "head")
    }
    first, second = repository.first, repository.second
    assert found == {
        "HEAD": first,
        "main": first,  # though a/main ends alike, and is listed first
        "a/main": second,
        "v1": first,
        "refs/heads/main": first,
        "heads/a/main": second,
        "pull/7/head": second,
        "head": None,
    }
    assert await refs.resolve(url, names("v1", "git")) == repository.tag


def test_a_listing_is_read_by_exact_names_in_their_order() -> None:
    listing = f"{TAG}\trefs/tags/v1\n{COMMIT}\trefs/tags/v1^{{}}\nwarning: x\nabc\trefs/heads/v1\n"
    assert choose(listing, ("refs/heads/v1", "refs/tags/v1^{}", "refs/tags/v1")) == COMMIT
    assert choose(listing, ("v1", "refs/tags/v1")) == TAG
    assert choose(listing, ("v1",)) is None
    assert choose("", ("HEAD",)) is None


async def test_over_http_as_a_real_server_speaks_it(repository: Repository) -> None:
    asked: list[str] = []
    async with http_server(back_end(repository, asked)) as port:
        refs = GitRefs(allow_private=True)
        url = f"http://127.0.0.1:{port}/repo.git"
        assert await refs.resolve(url, names("v1")) == repository.first
        assert await refs.resolve(url, names("nothing")) is None
        assert await refs.resolve(f"http://127.0.0.1:{port}/none.git", names("HEAD")) is None
    assert any("git-upload-pack" in path for path in asked)


async def test_over_git_as_a_real_daemon_speaks_it(repository: Repository) -> None:
    with daemon(repository) as port:
        url = f"git://127.0.0.1:{port}/repo.git"
        await answering(url)
        assert await GitRefs(allow_private=True).resolve(url, names("a/main")) == repository.second


async def test_hosts_in_private_networks_are_not_contacted(repository: Repository) -> None:
    asked: list[str] = []
    async with http_server(back_end(repository, asked)) as port:
        for host in (
            "127.0.0.1",
            "localhost",
            "0x7f.1",
            "2130706433",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
        ):
            assert await GitRefs().resolve(f"http://{host}:{port}/repo.git", names("HEAD")) is None
    assert asked == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("140.82.121.4", True),
        ("2606:50c0:8000::153", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fd00::1", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::8c52:7904", True),
        ("2002:a00:1::", False),
        ("ff02::1", False),
    ],
)
def test_what_is_public(address: str, public: bool) -> None:
    assert is_public(address) is public


async def test_git_goes_to_the_addresses_that_were_looked_at(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else knows this name: git can only have the address from us."""
    looked_up: list[str] = []

    async def addresses_of(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1"]

    monkeypatch.setattr(git_refs, "addresses_of", addresses_of)
    asked: list[str] = []
    async with http_server(back_end(repository, asked)) as port:
        url = f"http://Git.Binder.invalid:{port}/repo.git"
        assert await GitRefs().resolve(url, names("HEAD")) is None
        assert asked == []
        monkeypatch.setattr(git_refs, "is_public", lambda address: True)
        assert await GitRefs().resolve(url, names("HEAD")) == repository.first
    assert looked_up == ["git.binder.invalid"] * 2
    with daemon(repository) as port:
        url = f"git://127.0.0.1:{port}/repo.git"
        await answering(url)
        assert await GitRefs().resolve(url, names("HEAD")) is None  # git:// cannot be bound


async def test_one_private_address_among_public_ones_is_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    async def addresses_of(host: str, port: int) -> list[str]:
        return ["140.82.121.4", "10.0.0.1"]

    async def never(*_: object) -> None:
        raise AssertionError("git was started")

    monkeypatch.setattr(git_refs, "addresses_of", addresses_of)
    monkeypatch.setattr(git_refs, "_ls_remote", never)
    assert await GitRefs().resolve("https://git.example.org/r", names("HEAD")) is None


async def test_no_redirect_is_followed(repository: Repository) -> None:
    asked: list[str] = []
    async with http_server(back_end(repository, asked)) as port:

        async def elsewhere(request: web.Request) -> web.Response:
            return web.Response(status=302, headers={"Location": f"http://127.0.0.1:{port}{request.path_qs}"})

        async with http_server(elsewhere) as other:
            refs = GitRefs(allow_private=True)
            assert await refs.resolve(f"http://127.0.0.1:{other}/repo.git", names("HEAD")) is None
    assert asked == []


async def test_no_password_is_sent_and_none_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (tmp_path / ".gitconfig").write_text('[http]\n\textraHeader = "Authorization: Basic bWU6c2VjcmV0"\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    heard: list[str | None] = []

    async def locked(request: web.Request) -> web.Response:
        heard.append(request.headers.get("Authorization"))
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})

    async with http_server(locked) as port:
        url = f"http://127.0.0.1:{port}/repo.git"
        assert await GitRefs(allow_private=True).resolve(url, names("HEAD")) is None
    assert heard and set(heard) == {None}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "--upload-pack=touch /tmp/x",
        "ext::sh -c true",
        "ext://sh",
        "ssh://git@127.0.0.1/repo.git",
        "git@127.0.0.1:repo.git",
        "http://user:secret@127.0.0.1/repo.git",
        "http://user@127.0.0.1/repo.git",
        "http://127.0.0.1",
        "http://127.0.0.1:0/repo.git",
        "http://127.0.0.1:99999/repo.git",
        "http://-host/repo.git",
        "http://host%00/repo.git",
        "http://127.0.0.1/repo.git?x",
        "http://127.0.0.1/repo%0agit",
        "http://127.0.0.1\\@example.org/repo.git",
        "http:///repo.git",
        "http://[::1/repo.git",
        "/etc",
        "file:///etc",
        "file://localhost/etc",
    ],
)
async def test_git_is_started_for_no_other_url(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> None:
        raise AssertionError("git was started")

    monkeypatch.setattr(git_refs, "_ls_remote", never)
    assert await GitRefs(allow_private=True).resolve(url, names("HEAD")) is None


async def test_no_name_becomes_an_option(repository: Repository) -> None:
    refs = GitRefs(file_roots=[repository.served])
    url = f"file://{repository.path}"
    for bad in ((), ("",), ("--exit-code", "HEAD"), ("a b", "HEAD"), ("a\nb", "HEAD"), ("\udcff",)):
        assert await refs.resolve(url, bad) is None


async def test_folders_are_read_below_the_roots_alone(repository: Repository, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.git").symlink_to(repository.path)
    refs = GitRefs(allow_private=True, file_roots=[inside])
    for path in (repository.path, inside / "link.git", inside / ".." / "x", inside / "none"):
        assert await refs.resolve(f"file://{path}", names("HEAD")) is None
    assert await GitRefs().resolve(f"file://{repository.path}", names("HEAD")) is None
    refs = GitRefs(file_roots=[repository.served])
    assert await refs.resolve(f"file://{inside / 'link.git'}", names("HEAD")) == repository.first


class SilentServer:
    """Accepts and never answers."""

    def __init__(self) -> None:
        self.port = 0
        self.accepted = self.open = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open += 1
        try:
            while await reader.read(1024):
                pass
        finally:
            self.open -= 1
            writer.close()


@pytest.fixture
async def silent() -> AsyncIterator[SilentServer]:
    made = SilentServer()
    async with await asyncio.start_server(made.accept, "127.0.0.1", 0) as server:
        made.port = server.sockets[0].getsockname()[1]
        yield made


@pytest.mark.parametrize("scheme", ["http", "git"])
async def test_a_silent_host_costs_the_time_limit_and_leaves_no_process(
    scheme: str, silent: SilentServer
) -> None:
    refs = GitRefs(allow_private=True, time_limit=1.0)
    async with asyncio.timeout(20):
        assert await refs.resolve(f"{scheme}://127.0.0.1:{silent.port}/repo.git", names("HEAD")) is None
    assert silent.accepted
    assert git_processes() == []
    await until(lambda: silent.open == 0)


async def test_a_question_that_is_given_up_leaves_no_process(silent: SilentServer) -> None:
    """The connection is that of a helper, which would live on without its parent."""
    refs = GitRefs(allow_private=True, time_limit=300)
    asking = asyncio.create_task(refs.resolve(f"http://127.0.0.1:{silent.port}/repo.git", names("HEAD")))
    await until(lambda: silent.open == 1, 20)
    assert git_processes() != []
    asking.cancel()
    await asyncio.wait({asking}, timeout=20)
    assert asking.cancelled()
    assert git_processes() == []
    await until(lambda: silent.open == 0)


async def test_a_listing_without_end_is_not_read_to_its_end(repository: Repository) -> None:
    """A host of ill will lists more of what is asked for than any repository has."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-git-upload-pack-advertisement"})
        await response.prepare(request)
        await response.write(b"001e# service=git-upload-pack\n0000")
        flags = b"\0 side-band-64k"
        for number in range(20_000):
            line = f"{COMMIT} refs/{number}/main".encode() + flags + b"\n"
            flags = b""
            await response.write(f"{len(line) + 4:04x}".encode() + line)
        await response.write(b"0000")
        return response

    async with http_server(endless) as port:
        url = f"http://127.0.0.1:{port}/repo.git"
        assert await GitRefs(allow_private=True).resolve(url, ("refs/7/main",)) == COMMIT
        assert await GitRefs(allow_private=True).resolve(url, ("refs/7/main", "main")) is None
        assert git_processes() == []


async def test_without_git_nothing_is_known(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    refs = GitRefs(file_roots=[repository.served])
    assert await refs.resolve(f"file://{repository.path}", names("HEAD")) is None
