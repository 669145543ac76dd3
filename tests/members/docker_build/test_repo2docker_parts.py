"""The parts of a build with repo2docker that need no engine."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import stat
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from pydantic import SecretStr
from pytest import mark, raises

from members.adapters import repo2docker_command
from members.adapters.docker_build import BuildLimits, DockerBuilder, GitAccess
from members.adapters.docker_build_limits import StepLimits
from members.adapters.docker_build_place import place
from members.adapters.docker_build_watch import Watch, watched
from members.adapters.repo2docker_faults import judge
from members.adapters.repo2docker_log import Evidence, read
from members.core.model import (
    BuildBroken,
    BuildFailed,
    BuildLine,
    Credentials,
    RegistryDown,
    RegistryState,
    Resolved,
)
from members.providers.clone import clone_credentials
from members.providers.git import GitConfig
from members.providers.github import GitHubConfig
from members.providers.gitlab import GitLabConfig

SOURCE = Resolved("gh", "u/r/main", "https://github.com/u/r", "5" * 40, "", "", "u-r")
SOLVE = "ERROR: failed to solve: "


@mark.parametrize(
    ("text", "line"),
    [
        ('{"message": "a\\n", "phase": "building"}\n', BuildLine("a\n", "building")),
        (
            '{"message": "Picked Git content provider.\\n"}\n',
            BuildLine("Picked Git content provider.\n", None),
        ),
        ('{"message": "x", "phase": null}', BuildLine("x", None)),
        ("Cannot connect\n", BuildLine("Cannot connect\n", "unknown")),
        ('{"phase": "building"}\n', BuildLine('{"phase": "building"}\n', "unknown")),
        ("[" * 100_000, BuildLine("[" * 32768 + " [the rest of this line is cut]\n", "unknown")),
        ('{"message": "\\ud800"}', BuildLine("?", None)),
    ],
)
def test_lines_are_passed_on_as_binderhub_does(text: str, line: BuildLine) -> None:
    assert read(text) == line


def evidence(*lines: tuple[str, str | None]) -> Evidence:
    made = Evidence()
    for message, phase in lines:
        made.add(BuildLine(message + "\n", phase))
    return made


FAILED = ("Error during build: Command '['docker']' returned non-zero exit status 1.", "failed")


@mark.parametrize(
    ("error", "message"),
    [
        (SOLVE + "failed to push 127.0.0.1:5000/x: EOF", "registry"),
        (SOLVE + "write /var/lib/docker/x: no space left on device", "disk of this member is full"),
        ("ERROR: failed to receive status: rpc error: code = Unavailable desc = EOF", "container engine"),
        (
            SOLVE + 'failed to do request: Head "https://registry-1.docker.io/v2/x": dial tcp: i/o timeout',
            "image to build on",
        ),
        (SOLVE + 'Head "https://base.example.org/v2/b/x": connection refused', "image to build on"),
    ],
)
def test_what_only_the_tools_can_say_blames_the_member(error: str, message: str) -> None:
    said = evidence(("Using DockerBuildPack builder", "building"), (error, "building"), FAILED)
    fault = judge(said, 1, base_image="base.example.org/b/x:1")
    assert isinstance(fault, BuildBroken)
    assert message in str(fault)


@mark.parametrize(
    "lines",
    [
        [
            ("#5 0.4 ERROR: failed to push", "building"),
            (SOLVE + "executor failed running [x]: exit code: 1", "building"),
        ],
        [  # a carriage return sets words of a step free; the last word is still BuildKit's
            ("ERROR: failed to receive status", "building"),
            ("#9 pushing x with docker", "building"),
            (SOLVE + "executor failed running [/bin/sh -c echo no space left on device]: exit code: 1", "building"),
        ],
        [(SOLVE + 'process "/bin/sh -c echo failed to push" did not complete successfully: exit code: 2', "building")],
        [(SOLVE + "dockerfile parse error line 1: unknown instruction: FRAM", "building")],
        [(SOLVE + 'Head "http://10.0.0.1/v2/x": connection refused', "building")],
        [("remote: fatal: could not resolve host", "fetching"), ("fatal: repository not found", "fetching")],
    ],
)  # fmt: skip
def test_what_a_repository_can_say_blames_no_member(lines: list[tuple[str, str | None]]) -> None:
    fault = judge(evidence(*lines, FAILED), 1, base_image=None)
    assert isinstance(fault, BuildFailed)
    assert str(fault) == FAILED[0]


def test_a_push_that_fails_blames_the_member() -> None:
    lines = [("#7 pushing r/x:1 with docker", "building"), ("ERROR: EOF", "building"), FAILED]
    assert "did not take it" in str(judge(evidence(*lines), 1, base_image=None))


def test_words_without_a_phase_are_told_when_there_are_no_others() -> None:
    said = evidence(("No environment specification found.", None))
    assert str(judge(said, 1, base_image=None)) == "No environment specification found. (exit status 1)"
    assert isinstance(judge(Evidence(), 137, base_image=None), BuildBroken)


def test_the_command_line_is_binderhubs() -> None:
    given = repo2docker_command.arguments(
        SOURCE,
        "r.example.org/i:1",
        appendix="RUN x",
        push=True,
        extra=["--Repo2Docker.default_buildpack=None"],
    )
    assert given == [
        f"--ref={SOURCE.ref}", "--image=r.example.org/i:1", "--no-clean", "--no-run", "--json-logs",
        "--user-name=jovyan", "--user-id=1000", "--appendix", "RUN x", "--push",
        "--Repo2Docker.default_buildpack=None", "https://github.com/u/r",
    ]  # fmt: skip


def test_the_members_own_secrets_are_not_in_a_builds_environment(tmp_path: Path) -> None:
    own = {"PATH": "/usr/bin", "JUPYTERHUB_API_TOKEN": "secret", "HTTPS_PROXY": "http://proxy"}
    given = repo2docker_command.environment(
        own, root=tmp_path, docker_host="unix:///x", is_git=True, git_credentials=None, buildpacks=None,
        base_image=None, cache_space="",
    )  # fmt: skip
    assert "secret" not in given.values()
    assert given["HTTPS_PROXY"] == "http://proxy"
    assert given["DOCKER_CONFIG"].startswith(str(tmp_path))


def fill(folder: Path, config: str, secret: str | None, host: str) -> str:
    """What git would log in with."""
    (folder / "gitconfig").write_text(config)
    variables = repo2docker_command.environment(
        {"PATH": os.environ["PATH"]}, root=folder, docker_host="", is_git=True, git_credentials=secret, buildpacks=None,
        base_image=None, cache_space="",
    )  # fmt: skip
    question = f"protocol=https\nhost={host}\n\n"
    command = ["git", "credential", "fill"]
    answer = subprocess.run(
        command, input=question, env=variables, capture_output=True, text=True, check=False
    )
    return answer.stdout


def test_git_gets_credentials_for_the_repositorys_server_and_no_other(tmp_path: Path) -> None:
    secret = clone_credentials(GitHubConfig(access_token=SecretStr("t%s0ken")))
    assert secret == r"username=t%s0ken\npassword=x-oauth-basic"
    config = repo2docker_command.git_config(SOURCE.repo_url, ["https"], with_credentials=True)
    told = fill(tmp_path, config, secret, "github.com")
    assert "username=t%s0ken\npassword=x-oauth-basic\n" in told
    assert "t%s0ken" not in fill(tmp_path, config, secret, "evil.example.org")


def test_clone_credentials_are_binderhubs() -> None:
    app = GitHubConfig(access_token=SecretStr("t"), client_id="me")
    assert clone_credentials(app) == r"username=me\npassword=t"
    assert clone_credentials(GitLabConfig(private_token=SecretStr("t"))) == r"username=binderhub\npassword=t"
    assert clone_credentials(GitHubConfig(client_id="me", client_secret=SecretStr("s"))) is None
    assert clone_credentials(GitConfig()) is None


@mark.parametrize(
    ("username", "login"),
    [
        ("me", {"auth": base64.b64encode(b"me:pass:word").decode()}),
        ("<token>", {"identitytoken": "pass:word"}),
    ],
)
async def test_a_builds_docker_config_has_its_one_login(
    tmp_path: Path, username: str, login: dict[str, str]
) -> None:
    operators = tmp_path / "operators"
    (operators / "cli-plugins").mkdir(parents=True)
    other = {"auths": {"other": {"auth": "c2VjcmV0"}}, "proxies": {"default": {"httpProxy": "http://p"}}}
    (operators / "config.json").write_text(json.dumps(other))
    credentials = Credentials(username, "pass:word", "r.example.org")
    async with place(
        tmp_path / "builds", docker_config=operators, credentials=credentials, git_config=""
    ) as here:
        config = here.root / "docker" / "config.json"
        assert json.loads(config.read_text()) == {
            "auths": {"r.example.org": login},
            "proxies": other["proxies"],
        }
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
        assert stat.S_IMODE(here.root.stat().st_mode) == 0o700
        assert (here.root / "docker" / "cli-plugins").resolve() == operators / "cli-plugins"
        assert here.told(f"Cloning into '{here.tmp}/repo2dockerx'") == "Cloning into '/tmp/repo2dockerx'"
    assert list((tmp_path / "builds").iterdir()) == []


def test_limits_of_control_groups_of_version_2(tmp_path: Path) -> None:
    """Such as systemd's, with another engine's beside it."""
    for name, pid in (("system.slice/docker/buildkit", 7), ("other/buildkit", 8)):
        step = tmp_path / "cgroup" / name / "step"
        step.mkdir(parents=True)
        (step / "cgroup.procs").write_text(f"{pid}\n")
        for folder in (step, step.parent):
            for file in ("memory.max", "memory.swap.max", "pids.max"):
                (folder / file).write_text("max\n")
    (tmp_path / "cgroup" / "cgroup.controllers").write_text("memory pids\n")
    for pid, root in ((7, "/var/lib/docker"), (8, "/var/lib/other")):
        (tmp_path / "proc" / str(pid)).mkdir(parents=True)
        mount = f"1 2 0:3 / / rw - overlay overlay rw,lowerdir=l/X,upperdir={root}/overlay2/x/diff\n"
        (tmp_path / "proc" / str(pid) / "mountinfo").write_text(f"9 1 0:4 / /proc rw - proc proc rw\n{mount}")
    limits = StepLimits(
        memory=100, pids=9, layer=1, steps=2, engine_root=Path("/var/lib/docker"),
        root=tmp_path / "cgroup", proc=tmp_path / "proc",
    )  # fmt: skip
    assert limits.possible
    assert limits.hold()
    ours = tmp_path / "cgroup/system.slice/docker/buildkit"
    assert [(ours / name).read_text() for name in ("memory.max", "memory.swap.max", "pids.max")] == [
        "200\n",
        "0\n",
        "18\n",
    ]
    assert (ours / "step/memory.max").read_text() == "100\n"
    assert (ours / "step/pids.max").read_text() == "9\n"
    assert (tmp_path / "cgroup/other/buildkit/pids.max").read_text() == "max\n"

    second = StepLimits(
        memory=150, pids=4, layer=1, steps=1, engine_root=Path("/var/lib/docker"),
        root=tmp_path / "cgroup", proc=tmp_path / "proc",
    )  # fmt: skip
    for member in (second, limits, second):  # of another member on this engine, whichever looks last
        assert member.hold()
        assert [(ours / name).read_text() for name in ("memory.max", "pids.max")] == ["200\n", "18\n"]
        assert [(ours / "step" / name).read_text() for name in ("memory.max", "pids.max")] == ["100\n", "4\n"]


def test_without_an_engine_on_this_machine_there_are_no_limits(tmp_path: Path) -> None:
    limits = StepLimits(memory=1, pids=1, layer=1, steps=1, engine_root=None)
    assert not limits.possible
    assert not limits.hold()


async def test_a_registry_that_gives_no_credentials_stops_a_build_before_it_begins(tmp_path: Path) -> None:
    async def down(image: str) -> Credentials | None:
        raise RegistryDown("the registry is unreachable", RegistryState.UNREACHABLE)

    builder = DockerBuilder(
        docker_host="unix:///nowhere",
        docker_config=None,
        state_dir=tmp_path,
        push=True,
        limits=BuildLimits(1, 1, 1, 1, 1, 1),
        git=GitAccess(["https"]),
        tell=lambda fact: None,
        credentials=down,
    )
    with raises(BuildBroken, match="images cannot be stored: the registry is unreachable"):
        await anext(builder.build(SOURCE, "r.example.org/i:1"))
    with raises(BuildFailed, match="https are allowed"):
        await anext(builder.build(replace(SOURCE, repo_url="ssh://x/y"), "r.example.org/i:1"))
    with raises(BuildFailed, match="is no repository"):
        await anext(builder.build(replace(SOURCE, repo_url="--config=x", is_git=False), "r.example.org/i:1"))
    assert list(tmp_path.iterdir()) == []


async def test_a_step_may_be_silent_and_a_server_may_not(tmp_path: Path) -> None:
    def watch() -> Watch:
        return Watch(tmp_path, disk=1000, silence=0.2, engine_root=None, each_look=lambda: None)

    with raises(BuildBroken, match="server sent nothing"):
        await watch().run()
    building = watch()
    building.heard(building=True, pushing=False)
    with raises(TimeoutError):
        async with asyncio.timeout(1.5):
            await building.run()
    building.heard(building=True, pushing=True)
    with raises(BuildBroken, match="registry of images took nothing"):
        await building.run()


async def test_a_watched_stream_ends_with_what_its_watch_raises_and_leaves_no_task() -> None:
    ended = False

    async def stream() -> AsyncIterator[int]:
        nonlocal ended
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            ended = True

    async def watch() -> NoReturn:
        await asyncio.sleep(0.05)
        raise BuildFailed("too much")

    before = asyncio.all_tasks()
    seen = []
    with raises(BuildFailed, match="too much"):
        async for item in watched(stream(), watch()):
            seen.append(item)  # noqa: PERF401 - the items before the error
    assert seen == [1]
    assert ended
    assert asyncio.all_tasks() == before
