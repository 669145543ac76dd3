"""Real builds with repo2docker on a real engine: what is told, and what is left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

from contract_files import events
from contract_member import told_build
from pytest import fixture, mark, raises
from registry_stage import RunningRegistry, start_registry
from repo2docker_workshop import LABEL, SHA, TINY, USUAL, Workshop, built, git, running

from members.adapters.docker_build import Recipe
from members.core.model import BeyondMember, BuildBroken, BuildFailed, BuildLine, Credentials

pytestmark = [mark.integration, mark.docker]

PASSWORD_FILE = "member:$2y$04$bTohVVGyJjgX0A/eCkye5OFz/xbagDlY0yGNtWRQBSiqeJv0f6.zC\n"  # pass:word


def manifest(registry: RunningRegistry, name: str, tag: str) -> dict[str, object]:
    accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    request = urllib.request.Request(f"{registry.url}/v2/{name}/manifests/{tag}", headers=accept)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return dict(json.load(answer))


async def until_gone(marker: str, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while running(marker):
            await asyncio.sleep(0.1)


@fixture
def marker(tmp_path: Path) -> str:
    """A number of seconds that no other test sleeps for."""
    return f"9{abs(hash(str(tmp_path))) % 10**8:08d}"


async def test_a_dockerfile_is_built_pushed_and_told_as_binderhub_does(
    workshop: Workshop, registry: RunningRegistry
) -> None:
    source = workshop.dockerfile("echo made-it > /tmp/proof")
    builder = workshop.builder(push=True)
    lines = await told_build(
        "docker/cold-dockerfile", workshop.folder, builder, source, f"{registry.host}/some/image:{source.ref}"
    )
    assert manifest(registry, "some/image", source.ref)["schemaVersion"] == 2
    assert lines[0] == BuildLine("Picked Git content provider.\n", None)
    assert lines[1].phase == "fetching"
    assert lines[1].message.startswith("Cloning into '/tmp/repo2docker")
    assert BuildLine("Using DockerBuildPack builder\n", "building") in lines
    assert {line.phase for line in lines[3:]} == {"building"}
    assert workshop.left_over() == []
    assert str(workshop.folder) not in "".join(
        line.message for line in lines[2:] if "repo2docker.repo" not in line.message
    )


async def test_an_image_is_pushed_with_its_registrys_credentials(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "htpasswd").write_text(PASSWORD_FILE)
    registry = start_registry(
        tmp_path / "registry", more=f"auth: {{htpasswd: {{realm: images, path: {tmp_path}/htpasswd}}}}"
    )
    try:
        source = workshop.dockerfile("echo made-it")
        login = Credentials("member", "pass:word", registry.host)
        builder = workshop.builder(push=True, credentials=login)
        await built(builder, source, f"{registry.host}/with/login:1")
        without = workshop.builder(push=True)
        with raises(BuildBroken, match="did not take it"):
            await built(without, source, f"{registry.host}/without/login:1")
    finally:
        registry.kill()


async def test_python_repositories_are_built_on_the_base_image_without_conda(
    workshop: Workshop, base_image: str
) -> None:
    source = workshop.repository({"requirements.txt": "", "postBuild": "#!/bin/sh\necho made-it > proof\n"})
    builder = workshop.builder(recipe=Recipe("venv", base_image, "RUN echo appended > appendix\n"))
    lines = await told_build(
        "docker/cold-requirements", workshop.folder, builder, source, "venv/repository:1"
    )
    assert BuildLine("Using VenvPythonBuildPack builder\n", "building") in lines
    run = ("run", "--rm", "--network", "none", "venv/repository:1", "cat", "proof", "appendix")
    assert workshop.engine.run(*run).endswith("made-it\nappended\n")


async def test_what_only_other_members_can_build_is_told_as_such(workshop: Workshop, base_image: str) -> None:
    source = workshop.repository({"environment.yml": "dependencies: [numpy]\n"})
    builder = workshop.builder(recipe=Recipe("venv", base_image))
    with raises(BeyondMember, match="asks for a conda environment"):
        await told_build("docker/beyond-member", workshop.folder, builder, source, "beyond/member:1")


async def test_without_a_registry_the_image_stays_on_the_engine(workshop: Workshop) -> None:
    source = workshop.dockerfile("echo made-it > /tmp/proof")
    builder = workshop.builder()
    await built(builder, source, "stays/here:1")
    run = ("run", "--rm", "--network", "none", "stays/here:1", "cat", "/tmp/proof")
    assert workshop.engine.run(*run) == "made-it\n"
    assert (
        workshop.engine.run("image", "inspect", "--format", "{{json .Config.Labels}}", "stays/here:1").find(
            LABEL
        )
        > 0
    )
    again = await built(builder, source, "stays/here:1")
    assert again[-1].message.startswith("Reusing existing image")


async def test_the_end_of_a_failing_build_is_what_binderhub_was_recorded_to_send(workshop: Workshop) -> None:
    source = workshop.dockerfile("echo no space left on device; test -e /missing")
    builder = workshop.builder(push=True)
    with raises(BuildFailed):
        await told_build(
            "docker/build-failure", workshop.folder, builder, source, f"127.0.0.1:5000/failing:{SHA}"
        )
    ours, theirs = (events(name) for name in ("docker/build-failure", "binderhub/build-failure"))
    for event in theirs:
        event.pop("exc_info", None)  # a trace of repo2docker's own code tells a visitor nothing
    assert [sorted(event) for event in ours[-3:]] == [sorted(event) for event in theirs[-3:]]
    assert [event["phase"] for event in ours[-3:]] == ["building", "building", "failed"]
    for our, their in zip(ours[-3:], theirs[-3:], strict=True):
        assert str(our["message"])[:40] == str(their["message"])[:40]
    assert [event for event in ours if event.get("phase") == "failed"] == ours[-1:]
    assert workshop.left_over() == []


async def test_a_flood_of_output_is_cut_and_the_build_goes_on(workshop: Workshop) -> None:
    source = workshop.dockerfile("yes this-line-is-printed-for-ever | head -c 1000000000")
    builder = workshop.builder()
    lines = await built(builder, source, "flood/clipped:1")
    assert sum(len(line.message) for line in lines) < 20_000_000


async def test_a_build_that_prints_more_than_it_may_is_ended(workshop: Workshop, marker: str) -> None:
    source = workshop.dockerfile(f"yes this-line-is-printed | head -c 100000; sleep {marker}")
    builder = workshop.builder(limits=replace(USUAL, output=50_000))
    with raises(BuildFailed, match=r"printed more than 0\.05 MB"):
        await told_build("docker/output-too-long", workshop.folder, builder, source, "flood/ended:1")
    await until_gone(f"sleep {marker}")
    assert workshop.left_over() == []


async def test_a_sleeping_build_is_ended_at_its_time_limit(workshop: Workshop, marker: str) -> None:
    source = workshop.dockerfile(f"sleep {marker}")
    builder = workshop.builder(limits=replace(USUAL, timeout=8))
    with raises(BuildFailed, match="took longer than 8 seconds"):
        await told_build("docker/build-timeout", workshop.folder, builder, source, "sleeping/build:1")
    await until_gone(f"sleep {marker}")
    assert workshop.left_over() == []


async def test_a_build_that_is_left_in_a_step_leaves_nothing(workshop: Workshop, marker: str) -> None:
    source = workshop.dockerfile(f"sleep {marker}")
    builder = workshop.builder()
    lines = builder.build(source, "left/early:1")
    async with asyncio.timeout(60):
        async for line in lines:
            if line.message.endswith(f"RUN sleep {marker}\n"):
                break
        while not running(f"sleep {marker}"):
            await asyncio.sleep(0.05)
    await lines.aclose()
    await until_gone(f"sleep {marker}")
    assert running(str(workshop.state_dir)) == []
    assert workshop.left_over() == []
    assert workshop.engine.run("image", "ls", "--quiet", "left/early") == ""


async def test_a_member_killed_in_mid_build_leaves_nothing_running_and_the_next_one_tidies_up(
    workshop: Workshop, marker: str
) -> None:
    source = workshop.dockerfile(f"sleep {marker}")
    member = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("build_and_wait.py")), workshop.engine.host,
         str(workshop.engine.docker_config), str(workshop.folder), source.repo_url, source.ref],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            while not running(f"/bin/sh -c sleep {marker}"):
                assert member.poll() is None
                await asyncio.sleep(0.05)
    finally:
        member.send_signal(signal.SIGKILL)
        member.wait()
    await until_gone(marker)
    await until_gone(str(workshop.state_dir))
    assert len(workshop.left_over()) == 1
    workshop.builder()
    assert workshop.left_over() == []


async def test_a_repository_larger_than_the_limit_is_not_fetched_whole(workshop: Workshop) -> None:
    source = workshop.repository({"Dockerfile": "FROM scratch", "big": os.urandom(60_000_000)})
    builder = workshop.builder(limits=replace(USUAL, disk=20_000_000))
    with raises(BuildFailed, match=r"more than 0\.02 GB were fetched"):
        await told_build("docker/repository-too-large", workshop.folder, builder, source, "too/large:1")
    assert workshop.left_over() == []


async def test_a_step_that_wants_too_much_memory_is_killed(workshop: Workshop) -> None:
    source = workshop.dockerfile("sleep 1; head -c 1500000000 /dev/zero | tail -n 1 > /dev/null")
    builder = workshop.builder(limits=replace(USUAL, memory=200 << 20))
    with raises(BuildFailed, match="A step was killed"):
        await told_build("docker/step-killed", workshop.folder, builder, source, "hungry/step:1")


async def test_a_step_that_writes_without_end_is_killed(workshop: Workshop, marker: str) -> None:
    source = workshop.dockerfile(f"sleep 1; head -c 300000000 /dev/zero > /tmp/large; sleep {marker}")
    builder = workshop.builder(limits=replace(USUAL, layer=50 << 20))
    with raises(BuildFailed, match="A step was killed"):
        await built(builder, source, "writing/step:1")
    await until_gone(f"sleep {marker}")


async def test_a_fork_bomb_finds_an_end(workshop: Workshop) -> None:
    step = "sleep 1; i=0; while test $i -lt 2000; do sleep 30 & i=$((i+1)); done; echo survived"
    source = workshop.dockerfile(step)
    builder = workshop.builder()
    with raises(BuildFailed):
        await built(builder, source, "fork/bomb:1")
    assert len(running("sleep 30")) < 300
    await until_gone("sleep 30")


@mark.parametrize("name", ["Dockerfile", "binder/runtime.txt"])
async def test_a_link_to_a_file_of_the_host_is_refused(workshop: Workshop, name: str) -> None:
    secret = workshop.folder / "secret"
    secret.write_text("SECRET-OF-THE-HOST")
    source = workshop.repository({"README": "x", "binder/README": "x"})
    folder = Path(source.repo_url.removeprefix("file://"))
    (folder / name).symlink_to(secret)
    source = workshop.commit(folder)
    builder = workshop.builder()
    with raises(BuildFailed, match=f"{name} is a link that leads out of the repository") as caught:
        await built(builder, source, "link/out:1")
    assert "SECRET" not in str(caught.value)


async def test_a_submodule_cannot_name_a_folder_of_the_host(workshop: Workshop) -> None:
    private = workshop.folder / "private"
    private.mkdir()
    git(private, "init", "-q")
    git(private, "commit", "-q", "--allow-empty", "-m", "x")
    source = workshop.repository({"Dockerfile": "FROM scratch"})
    folder = Path(source.repo_url.removeprefix("file://"))
    git(folder, "submodule", "add", "-q", str(private), "stolen")
    source = workshop.commit(folder)
    builder = workshop.builder()
    with raises(BuildFailed):
        await built(builder, source, "stolen/files:1")


async def test_what_a_build_leaves_in_a_cache_is_there_for_its_own_repository_alone(
    workshop: Workshop,
) -> None:
    """Or one repository could put packages of its making into pip's cache of all others."""

    def dockerfile(step: str) -> str:
        return f"FROM {TINY}\nRUN --mount=type=cache,id=pip,target=/cache {step}\n"

    builder = workshop.builder()
    first = workshop.repository({"Dockerfile": dockerfile("echo poison > /cache/package")}, name="first")
    await built(builder, first, "cached/first:1")
    again = workshop.folder / "repositories" / "first"
    (again / "Dockerfile").write_text(dockerfile("test -e /cache/package"))
    await built(builder, workshop.commit(again), "cached/first:2")
    other = workshop.repository({"Dockerfile": dockerfile("test ! -e /cache/package")}, name="other")
    await built(builder, other, "cached/other:1")
    (again / "Dockerfile").write_text(dockerfile("false"))
    with raises(BuildFailed, match=r"'--build-arg', 'NB_UID=1000', '--file'"):
        await built(builder, workshop.commit(again), "cached/first:3")
