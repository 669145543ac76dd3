"""What a whole member sends where no build and no server is needed for it, against its contract files."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from contract_files import told
from contract_member import sent
from member_stage import SPEC, RunningMember, running_member
from pytest import MonkeyPatch, mark
from test_member_login import Tokens
from yarl import URL

from members.core.model import BuildBroken, LaunchFailed

HOST_SPEC = SPEC.rpartition("/")[0]
OTHER = f"{HOST_SPEC}/{'b' * 40}"
SECRET = "ab" * 32


@mark.parametrize(
    ("name", "settings", "path"),
    [
        ("bad-provider", "", "nope/x/y"),
        ("bad-spec", "", "gh/only-a-user"),
        ("banned-spec", "providers: {git: {banned_specs: ['.*%2Frepo/']}}", SPEC),
        ("banned-network", "ban_networks: {127.0.0.0/8: this machine}", SPEC),
        ("quota-total", "sessions: {max: 0}", SPEC),
        ("quota-per-repository", "sessions: {per_repository: 0}", SPEC),
        ("invalid-build-token", f"build_tokens: {{secret: {SECRET}}}", f"{SPEC}?build_token=x"),
        ("build-only-refused", "", f"{SPEC}?build_only=true"),
        ("build-only", "api_only: true", f"{SPEC}?build_only=true"),
        ("cold-launch", "", SPEC),
    ],
)
async def test_one_launch(name: str, settings: str, path: str, tmp_path: Path) -> None:
    async with running_member(tmp_path, settings) as member:
        told(f"member/{name}", await sent(member, path))


async def test_a_ref_that_is_not_there(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    settings = f"providers: {{git: {{protocols: [file], file_roots: ['{tmp_path}']}}}}"
    async with running_member(tmp_path, settings) as member:
        path = f"git/file%3A%2F%2F{str(repository).replace('/', '%2F')}/no-such-branch"
        told("member/bad-ref", await sent(member, path))


async def test_a_repository_that_cannot_be_asked(tmp_path: Path) -> None:
    async with running_member(tmp_path, "providers: {git: {protocols: [http]}}") as member:
        told("member/no-answer", await sent(member, "git/http%3A%2F%2F127.0.0.1%3A9%2Frepo/main"))


async def test_one_launch_too_many(tmp_path: Path) -> None:
    async with running_member(tmp_path, "rate_limit: {launches: 1}") as member:
        await sent(member)
        told("member/rate-limit", await sent(member))


async def test_no_accept_header(tmp_path: Path) -> None:
    async with running_member(tmp_path) as member:
        told("member/no-accept-header", await sent(member, Accept="text/html"))


async def test_a_stranger_and_a_hub_that_cannot_tell_who_it_is(tmp_path: Path) -> None:
    async with running_member(tmp_path, login=Tokens()) as member:
        told("member/forbidden", await sent(member))
        told("member/login-down", await sent(member, Authorization="token silence"))


async def test_a_known_image_and_the_repositorys_last_seat(tmp_path: Path) -> None:
    async with running_member(tmp_path, "sessions: {max: 1}") as member:
        await sent(member)
        told("member/cached-full", await sent(member))


async def test_a_cached_launch(tmp_path: Path) -> None:
    async with running_member(tmp_path, "sessions: {max: 9}") as member:
        await sent(member)
        told("member/cached-launch", await sent(member))


async def test_a_queue_and_a_build_that_is_joined(tmp_path: Path) -> None:
    async with running_member(tmp_path, "build: {concurrent: 1}") as member, AsyncExitStack() as stack:
        member.builder.gate.clear()
        await stack.enter_async_context(begun(member, b"one"))
        queued = await stack.enter_async_context(begun(member, b"in the queue", OTHER))
        joined = await stack.enter_async_context(begun(member, b"one"))
        member.builder.gate.set()
        told("member/queue-position", await queued.rest())
        told("member/joined-build", await joined.rest())


async def test_a_launch_that_is_taken_up_again(tmp_path: Path) -> None:
    async with running_member(tmp_path) as member:
        member.builder.gate.clear()
        async with begun(member, b"one") as launch:
            last = launch.read.rpartition(b"id: ")[2].partition(b"\n")[0].decode()
        member.builder.gate.set()
        told("member/resumed", await sent(member, Last_Event_ID=last))


async def test_a_silence_is_filled_with_comments(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr("members.web.build.KEEPALIVE_AFTER", 0.1)
    async with running_member(tmp_path) as member:
        member.builder.gate.clear()
        async with begun(member, b":keepalive") as launch:
            monkeypatch.setattr("members.web.build.KEEPALIVE_AFTER", 60.0)
            member.builder.gate.set()
            told("member/silence", await launch.rest())


async def test_faults_inside(tmp_path: Path) -> None:
    async with running_member(tmp_path, "sessions: {launch_attempts: 1}") as member:
        member.builder.error = RuntimeError("nobody's business")
        told("member/error-inside", await sent(member))
        member.builder.error = BuildBroken("The disk of this member is full.")
        told("member/disk-full", await sent(member))
        member.builder.error = None
        member.hub.errors = [LaunchFailed("Image x for user y took too long to launch")]
        told("member/never-ready", await sent(member))
        member.hub.sessions_error = LaunchFailed("JupyterHub does not answer")
        told("member/hub-silent", await sent(member))


async def test_a_member_that_shuts_down_while_a_server_starts(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        async with running_member(tmp_path) as member:
            member.hub.gate.clear()
            launch = await stack.enter_async_context(begun(member, b"Server requested"))
        told("member/shutting-down-at-launch", await launch.rest())


@dataclass
class Begun:
    """A launch of which a part was read."""

    read: bytes
    answer: aiohttp.ClientResponse

    async def rest(self) -> bytes:
        """Its whole stream."""
        return self.read + await self.answer.read()


@asynccontextmanager
async def begun(member: RunningMember, words: bytes, path: str = SPEC) -> AsyncIterator[Begun]:
    """A launch that has told these words."""
    url = URL(f"{member.url}build/{path}", encoded=True)
    async with (
        aiohttp.ClientSession() as http,
        http.get(url, headers={"Accept": "text/event-stream"}) as answer,
    ):
        read = await answer.content.readuntil(words)
        yield Begun(read + await answer.content.readuntil(b"\n\n"), answer)
