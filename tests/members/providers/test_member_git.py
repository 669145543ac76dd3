import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import aiohttp
import psutil
from aiohttp import web
from member_fakes import Listener
from pytest import fixture, mark, raises

from members.core.model import ResolveError, SpecError
from members.providers.base import Tools
from members.providers.git import Git, GitConfig
from members.providers.lsremote import LsRemoteFailed, ls_remote


def run(*argv: str, cwd: Path) -> str:
    identity = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a"}
    env = os.environ | identity | {"GIT_COMMITTER_EMAIL": "a@b"}
    return subprocess.run(argv, cwd=cwd, env=env, check=True, capture_output=True, text=True).stdout.strip()


@fixture
def repo(tmp_path: Path) -> Path:
    """A repository with a commit on main, the tag v1, and a branch whose name ends in main."""
    path = tmp_path / "root" / "repo"
    path.mkdir(parents=True)
    run("git", "init", "-q", "-b", "main", cwd=path)
    for number in ("one", "two"):
        (path / "file").write_text(number)
        run("git", "add", ".", cwd=path)
        run("git", "commit", "-q", "-m", number, cwd=path)
    run("git", "branch", "a/main", "HEAD~1", cwd=path)
    run("git", "tag", "v1", "HEAD~1", cwd=path)
    return path


async def resolve(config: GitConfig, url: str, ref: str) -> object:
    async with aiohttp.ClientSession() as http:
        return await Git(config, Tools(http, http, Listener())).resolve(f"{quote(url, safe='')}/{ref}")


def local(repo: Path) -> GitConfig:
    return GitConfig(protocols=("file",), file_roots=(repo.parent,))


@mark.parametrize("ref", ["HEAD", "main", "refs/heads/main"])
async def test_a_branch_becomes_its_commit(repo: Path, ref: str) -> None:
    sha = run("git", "rev-parse", "main", cwd=repo)
    url = f"file://{repo}"
    found = await resolve(local(repo), url, quote(ref, safe=""))
    assert found is not None
    assert (found.ref, found.repo_url, found.ref_url, found.build_slug) == (sha, url, url, url)  # type: ignore[attr-defined]
    assert found.resolved_spec == f"{quote(url, safe='')}/{sha}"  # type: ignore[attr-defined]


async def test_a_tag_becomes_its_commit(repo: Path) -> None:
    found = await resolve(local(repo), f"file://{repo}", "v1")
    assert found.ref == run("git", "rev-parse", "v1", cwd=repo)  # type: ignore[attr-defined]


async def test_a_commit_is_taken_as_it_is(repo: Path) -> None:
    found = await resolve(local(repo), f"file://{repo}", "a" * 40)
    assert found.ref == "a" * 40  # type: ignore[attr-defined]


async def test_an_unknown_ref_is_none(repo: Path) -> None:
    assert await resolve(local(repo), f"file://{repo}", "nosuch") is None


async def test_a_folder_that_is_no_repository_is_an_error_in_gits_words(repo: Path) -> None:
    (repo.parent / "empty").mkdir()
    with raises(ResolveError, match=r"^Unable to run git ls-remote to get the `resolved_ref`: fatal: "):
        await resolve(local(repo), f"file://{repo.parent}/empty", "HEAD")


@mark.parametrize(
    "spec", ["noslash", "https%3A%2F%2Fhost%2Frepo/", "https://host/repo/main", "/HEAD", "%00/HEAD"]
)
async def test_malformed_specs(repo: Path, spec: str) -> None:
    async with aiohttp.ClientSession() as http:
        with raises(SpecError):
            await Git(GitConfig(), Tools(http, http, Listener())).resolve(spec)


async def test_a_very_long_spec_is_refused_without_repeating_it() -> None:
    async with aiohttp.ClientSession() as http:
        with raises(SpecError) as caught:
            await Git(GitConfig(), Tools(http, http, Listener())).resolve("a" * 5000 + "/HEAD")
    assert len(str(caught.value)) < 200


@fixture
def daemon(repo: Path) -> Iterator[int]:
    """A real git daemon; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = ["git", "daemon", "--listen=127.0.0.1", f"--port={port}", "--export-all", "--reuseaddr"]
    process = subprocess.Popen(
        [*argv, f"--base-path={repo.parent}", str(repo.parent)], start_new_session=True
    )
    try:
        for _ in range(200):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None
            time.sleep(0.02)
        yield port
    finally:
        os.killpg(process.pid, 15)
        process.wait(10)


@mark.integration
async def test_over_the_network(repo: Path, daemon: int) -> None:
    found = await resolve(GitConfig(), f"git://127.0.0.1:{daemon}/repo", "main")
    assert found.ref == run("git", "rev-parse", "main", cwd=repo)  # type: ignore[attr-defined]
    with raises(ResolveError, match="access denied or repository not exported"):
        await resolve(GitConfig(), f"git://127.0.0.1:{daemon}/nosuch", "main")


async def test_a_host_that_never_answers_ends_at_the_limit_with_all_processes() -> None:
    hanging = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hanging.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with raises(ResolveError, match="no answer within"):
        await resolve(GitConfig(timeout="300ms"), f"http://127.0.0.1:{port}/repo", "main")  # type: ignore[arg-type]
    assert not [
        p for p in psutil.process_iter(["cmdline"]) if f":{port}/repo" in " ".join(p.info["cmdline"] or ())
    ]
    hanging.set()
    server.close()


async def test_git_itself_knows_which_protocols_are_allowed(repo: Path) -> None:
    with raises(LsRemoteFailed, match="transport 'file' not allowed"):
        await ls_remote(f"file://{repo}", "HEAD", protocols=("https",), timeout=10)


async def test_a_redirect_cannot_reach_another_protocol(repo: Path) -> None:
    async def elsewhere(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"file://{repo}/info/refs"})

    app = web.Application()
    app.router.add_get("/{any:.*}", elsewhere)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    with raises(ResolveError):
        await resolve(GitConfig(), f"http://127.0.0.1:{port}/repo", "main")
    await runner.cleanup()
