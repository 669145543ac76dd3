"""Real builds of small repositories, with real git and uv, in both isolations."""

from __future__ import annotations

import asyncio
import functools
import http.server
import os
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest
from contract_files import events
from contract_member import told_build
from workshop import SAFEST, Member, built, git, new, project, repository, resolved

from members.adapters.oci_layout import START_LABEL, labels_of, unpacked_path
from members.core.model import BeyondMember, BuildBroken, BuildFailed, BuildLine, Isolation

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

DEAD_PROXY = "http://127.0.0.1:9"  # the discard port: nobody listens

DAEMON = """#!/usr/bin/env python3
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv("/bin/sleep", ["{name}", "1000"])
    os._exit(0)
print("started", flush=True)
time.sleep({sleep})
"""


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, DEAD_PROXY)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")


def named(name: str) -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if (process.info["cmdline"] or [""])[0] == name and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


async def test_plain_repository_builds_offline_and_starts_on_the_second_member(
    one: Member, image: str, offline: None
) -> None:
    source = new(one, image, {"index.ipynb": "{}", "data/x.csv": "1,2"})
    log: list[BuildLine] = []
    text = await built(one.builder(), source, image, log)
    assert log[0] == BuildLine("Picked Git content provider.\n", None)
    assert [line.phase for line in log if line.phase] == sorted(
        (line.phase for line in log if line.phase), key=["fetching", "building", "pushing"].index
    )
    assert {line.phase for line in log} == {None, "fetching", "building", "pushing"}
    assert f"HEAD is now at {source.ref[:7]} a commit\n" in text
    assert all(line.message.endswith("\n") for line in log)

    two = Member(one.root, "two", one.isolation)
    async for _ in two.store().fetch(image):
        pass
    for member in (one, two):
        assert (
            member.run(image, "python", "-c", "import notebook, ipykernel; print(open('data/x.csv').read())")
            == "1,2"
        )
        assert member.run(image, "jupyter", "lab", "--version").startswith("4.")
        assert "python3" in member.run(image, "jupyter", "kernelspec", "list")


async def test_requirements_come_on_top_of_the_base(one: Member, image: str) -> None:
    source = new(one, image, {"requirements.txt": "tinytwo\n", "extra.txt": "not used"})
    text = await built(one.builder(), source, image)
    assert "tinyone==1.0" in text
    assert "jupyterlab==" not in text  # the base stays as it is where nothing asks otherwise
    two = Member(one.root, "two", one.isolation)
    async for _ in two.store().fetch(image):
        pass
    for member in (one, two):
        assert (
            member.run(image, "python", "-c", "import tinyone, tinytwo, jupyterlab; print(tinyone.version)")
            == "1.0"
        )
        cached = "import tinyone, os; print(os.path.exists(tinyone.__cached__))"
        assert member.run(image, "python", "-c", cached) == "True"


async def test_a_package_of_the_base_can_be_replaced_in_one_image_only(safe: Member, image: str) -> None:
    source = new(
        safe, image, {"binder/requirements.txt": "six==1.16.0\n", "requirements.txt": "no-such-package-x==9"}
    )
    await built(safe.builder(), source, image)
    show = "import six; print(six.__version__)"
    assert safe.run(image, "python", "-c", show) == "1.16.0"
    other = "other-" + image
    await built(safe.builder(), new(safe, other, {"README": ""}), other)
    assert safe.run(other, "python", "-c", show) != "1.16.0"


@pytest.mark.parametrize(
    ("requirements", "words"),
    [
        ("tinyone==2.0\ntinytwo==1.0\n", "depend on tinyone<2"),
        ("jupyterlab<4\n", "jupyterlab>=4"),
        ("tinyone==77\n", "tinyone==77"),
        ("not a requirement !!\n", "requirements.txt"),
    ],
    ids=["conflict", "conflict with the base", "no such version", "malformed"],
)
async def test_what_cannot_be_resolved_fails_in_uvs_words(
    safe: Member, image: str, requirements: str, words: str
) -> None:
    log: list[BuildLine] = []
    with pytest.raises(BuildFailed, match=r"requirements\.txt could not be installed"):
        await built(safe.builder(), new(safe, image, {"requirements.txt": requirements}), image, log)
    assert words in " ".join("".join(line.message for line in log).split())
    assert not await safe.store().has(image)


async def test_without_index_uncached_packages_are_the_members_fault(
    safe: Member, image: str, offline: None, tmp_path: Path
) -> None:
    with pytest.raises(BuildBroken, match="could not be reached"):
        source = new(safe, image, {"requirements.txt": "humanize==4.9.0\n"})
        await told_build("process/index-down", tmp_path, safe.builder(), source, image)


async def test_without_a_sandbox_no_file_is_shared_with_other_images(machine: Path, image: str) -> None:
    """A session can write to its image then, and must not reach the base or another image by that."""
    one, two = Member(machine, "one", Isolation.NONE), Member(machine, "two", Isolation.NONE)
    await built(one.builder(), new(one, image, {"notebook.txt": "plain"}), image)
    async for _ in two.store().fetch(image):
        pass
    for member in (one, two):
        env = unpacked_path(member.state, image) / "env"
        files = [path for path in env.rglob("*") if path.is_file() and not path.is_symlink()]
        assert files
        assert not [path for path in files if path.stat().st_nlink > 1]


async def test_source_packages_are_built_apart_from_the_shared_cache(one: Member, image: str) -> None:
    files = {f"pkg/{name}": text for name, text in project("srcpkg").items()}
    files["pkg/at_build.py"] = "open(os.path.join(os.environ['UV_CACHE_DIR'], 'poison'), 'w').close()"
    files["requirements.txt"] = "./pkg\ntinyone\n"
    text = await built(one.builder(), new(one, image, files), image)
    assert "must be built from source" in text
    assert "error" not in text.lower()
    assert one.run(image, "python", "-c", "import srcpkg; print(srcpkg.answer)") == "42"
    assert not list((one.root / "cache").rglob("poison"))


async def test_the_repositorys_own_project_is_installed(one: Member, image: str) -> None:
    source = new(one, image, {**project("ownproject"), "requirements.txt": "tinyone==2.0\n"})
    await built(one.builder(), source, image)
    assert one.run(image, "python", "-c", "import ownproject, tinyone; print(tinyone.version)") == "2.0"


async def test_setup_py_with_a_version_from_tags(safe: Member, image: str) -> None:
    folder = safe.repositories / image.split(":")[0]
    setup = "from setuptools import setup\nfrom subprocess import check_output\n"
    setup += "v = check_output(['git', 'describe', '--tags'])\n"
    setup += "setup(name='tagged', version=v.decode().split('-')[0].strip(), py_modules=['tagged'])\n"
    repository(folder, {"setup.py": setup, "tagged.py": ""})
    git(folder, "tag", "3.5")
    source = repository(folder, {"README": "more"})
    await built(safe.builder(), source, image)
    show = "from importlib.metadata import version; print(version('tagged'))"
    assert safe.run(image, "python", "-c", show) == "3.5"


async def test_post_build_and_start(one: Member, image: str) -> None:
    script = (
        'echo "hello from $(basename "$VIRTUAL_ENV")"\n'  # no first line that names a shell
        "python -c 'print(1 + 1)' > made.txt\n"
        "mkfifo pipe\n"
        'printf "#!%s/bin/python\\nprint(123)\\n" "$VIRTUAL_ENV" > "$VIRTUAL_ENV/bin/mine"\n'
        'chmod +x "$VIRTUAL_ENV/bin/mine"\n'
        'echo changed >> "$VIRTUAL_ENV/etc/jupyter/jupyter_server_config.d/notebook.json"\n'
    )
    source = new(one, image, {"binder/postBuild": script, "binder/start": '#!/bin/sh\nexec "$@"\n'})
    text = await built(one.builder(), source, image)
    assert "hello from env\n" in text
    two = Member(one.root, "two", one.isolation)
    async for _ in two.store().fetch(image):
        pass
    for member in (one, two):
        here = unpacked_path(member.state, image)
        assert (here / "home" / "made.txt").read_text() == "2\n"
        assert not (here / "home" / "pipe").exists()
        assert labels_of(here)[START_LABEL] == "binder/start"
        assert member.run(image, "mine") == "123"
    bases = (one.root / "store" / "unpacked").glob("binder-federation-base-*")
    settings = [base / "env/etc/jupyter/jupyter_server_config.d/notebook.json" for base in bases]
    assert settings
    assert not any("changed" in file.read_text() for file in settings)


async def test_post_build_gets_no_variable_of_the_member(
    one: Member, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret-token")
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "secret-token")
    monkeypatch.setenv("PIP_TIMEOUT", "17")
    await built(one.builder(), new(one, image, {"postBuild": "env > variables; pwd > where"}), image)
    home = unpacked_path(one.state, image) / "home"
    assert "secret-token" not in (home / "variables").read_text()
    assert "PIP_TIMEOUT=17" in (home / "variables").read_text()
    if one.isolation is Isolation.BUBBLEWRAP:
        assert (home / "where").read_text() == "/home/jovyan\n"


async def test_failing_post_build(safe: Member, image: str, tmp_path: Path) -> None:
    source = new(safe, image, {"postBuild": "echo why it failed >&2; exit 3"})
    with pytest.raises(BuildFailed, match="postBuild failed with exit status 3"):
        await told_build("process/build-failure", tmp_path, safe.builder(), source, image)
    assert "why it failed\n" in [event["message"] for event in events("process/build-failure")]
    assert not await safe.store().has(image)


async def test_a_full_disk_is_not_the_repositorys_fault(machine: Path, image: str, tmp_path: Path) -> None:
    member = Member(machine, "full", SAFEST)
    member.state.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(member.state)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("only root may mount")
    try:
        source = new(member, image, {"large": "".join(random.choices("abcdefghijklmnop", k=4_000_000))})
        with pytest.raises(BuildBroken, match="disk of this member is full"):
            await told_build("process/disk-full", tmp_path, member.builder(), source, image)
        assert member.left_over() == []
    finally:
        subprocess.run(["umount", "--lazy", member.state], check=True)


async def test_endless_build_ends_at_its_time_limit(one: Member, image: str, tmp_path: Path) -> None:
    name = f"binder-test-endless-{os.getpid()}-{one.isolation}"
    source = new(one, image, {"postBuild": DAEMON.format(name=name, sleep=1000)})
    began = time.monotonic()
    with pytest.raises(BuildFailed, match="took longer than 15 seconds"):
        await told_build("process/build-timeout", tmp_path, one.builder(timeout=15), source, image)
    assert time.monotonic() - began < 45
    assert named(name) == []


async def test_a_gigabyte_of_output_ends_the_build(one: Member, image: str) -> None:
    log: list[BuildLine] = []
    source = new(one, image, {"postBuild": "head -c 1000000000 /dev/zero | tr '\\0' 'x'"})
    with pytest.raises(BuildFailed, match="printed more than 2 MB"):
        await built(one.builder(output=2_000_000), source, image, log)
    assert sum(len(line.message) for line in log) < 2_100_000
    assert max(len(line.message) for line in log) < 5_000


async def test_daemons_of_a_finished_build_are_gone(one: Member, image: str) -> None:
    name = f"binder-test-daemon-{os.getpid()}-{one.isolation}"
    source = new(one, image, {"postBuild": DAEMON.format(name=name, sleep=0.2)})
    await built(one.builder(), source, image)
    assert named(name) == []


def appears(name: str) -> bool:
    end = time.monotonic() + 10
    while not named(name) and time.monotonic() < end:
        time.sleep(0.02)
    return bool(named(name))


async def test_closing_early_ends_everything(one: Member, image: str) -> None:
    name = f"binder-test-closed-{os.getpid()}-{one.isolation}"
    source = new(one, image, {"postBuild": DAEMON.format(name=name, sleep=1000)})
    async with aclosing(one.builder().build(source, image)) as lines:
        async for line in lines:
            if line.message == "started\n":
                break
        assert await asyncio.to_thread(appears, name)
    assert named(name) == []
    assert not await one.store().has(image)


async def test_memory_limit(safe: Member, image: str) -> None:
    log: list[BuildLine] = []
    source = new(safe, image, {"postBuild": "python -c 'bytearray(3 << 30)'"})
    with pytest.raises(BuildFailed, match="postBuild failed"):
        await built(safe.builder(memory=2 << 30), source, image, log)
    assert "MemoryError" in "".join(line.message for line in log)


async def test_runtime_txt_picks_an_interpreter_that_is_here(safe: Member, image: str) -> None:
    version = default_version(safe)
    await built(safe.builder(), new(safe, image, {"runtime.txt": f"python-{version}\n"}), image)
    show = "import sys; print('%d.%d' % sys.version_info[:2])"
    assert safe.run(image, "python", "-c", show) == version


def default_version(member: Member) -> str:
    (base,) = (member.root / "store" / "unpacked").glob("binder-federation-base-python*")
    return base.name.removeprefix("binder-federation-base-python").partition("_")[0]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"runtime.txt": "python-3.99"},
            r"asks for Python 3\.99, which this member does not have\. It has 3\.\d+",
        ),
        ({"apt.txt": "graphviz"}, r"apt\.txt asks for system packages \(graphviz\).*docker runtime"),
        ({"binder/Dockerfile": "FROM x"}, r"binder/Dockerfile describes a container image.*docker runtime"),
        ({"environment.yml": "name: x"}, r"environment\.yml asks for a conda environment"),
        ({"binder/start": "", ".binder/start": ""}, r"both binder/ and \.binder/"),
        ({"runtime.txt": "cobol-85"}, r"runtime\.txt: 'cobol-85' was not understood"),
    ],
)
async def test_what_cannot_be_built_here_says_what_and_who_can(
    safe: Member, image: str, files: dict[str, str], message: str
) -> None:
    error = BuildFailed if "both" in message or "understood" in message else BeyondMember
    with pytest.raises(BuildFailed, match=message) as caught:
        await built(safe.builder(), new(safe, image, files), image)
    assert type(caught.value) is error


async def test_a_front_door_is_told_what_only_other_members_can_build(
    safe: Member, image: str, tmp_path: Path
) -> None:
    source = new(safe, image, {"binder/Dockerfile": "FROM x"})
    with pytest.raises(BeyondMember):
        await told_build("process/beyond-member", tmp_path, safe.builder(), source, image)


async def test_configuration_that_links_out_of_the_repository_is_refused(safe: Member, image: str) -> None:
    folder = safe.repositories / image.split(":")[0]
    folder.mkdir()
    (folder / "runtime.txt").symlink_to("/etc/hostname")
    with pytest.raises(BuildFailed, match=r"runtime\.txt is a link"):
        await built(safe.builder(), repository(folder, {}), image)


async def test_an_older_commit_with_submodules(safe: Member, image: str) -> None:
    inner = repository(safe.repositories / f"inner-{image.split(':')[0]}", {"inner.txt": "inner"})
    folder = safe.repositories / image.split(":")[0]
    repository(folder, {"README": "first"})
    git(folder, "submodule", "--quiet", "add", inner.repo_url, "sub")
    old = repository(folder, {"README": "second"})
    repository(folder, {"README": "third"})
    await built(safe.builder(), old, image)
    home = unpacked_path(safe.state, image) / "home"
    assert (home / "README").read_text() == "second"
    if safe.isolation is Isolation.BUBBLEWRAP:
        assert (home / "sub" / "inner.txt").read_text() == "inner"


@pytest.fixture
def plain_http(safe: Member) -> Iterator[str]:
    """A web server that knows nothing of git: no shallow clones there."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(safe.repositories))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def test_a_server_that_gives_no_single_commits_is_asked_for_all(
    safe: Member, image: str, plain_http: str
) -> None:
    folder = safe.repositories / image.split(":")[0]
    old = repository(folder, {"README": "old"})
    repository(folder, {"README": "new"})
    git(folder, "update-server-info")
    await built(safe.builder(), resolved(f"{plain_http}/{folder.name}/.git", old.ref), image)
    assert (unpacked_path(safe.state, image) / "home" / "README").read_text() == "old"


async def test_repositories_that_cannot_be_fetched(safe: Member, image: str, plain_http: str) -> None:
    commit = "0123456789" * 4
    builder = safe.builder()
    for url, error, message in (
        (f"{plain_http}/nothing-here", BuildFailed, "could not be fetched"),
        ("http://127.0.0.1:9/x", BuildBroken, "could not be reached"),
        ("file:///etc", BuildFailed, "is not a repository that this member may open"),
        (
            f"file://{safe.repositories}/../cache",
            BuildFailed,
            "is not a repository that this member may open",
        ),
        ("ext::sh -c touch% /tmp/pwned", BuildFailed, "cannot be fetched"),
        ("ssh://git@example.org/x", BuildFailed, "http, https, file are allowed"),
    ):
        with pytest.raises(error, match=message):
            await built(builder, resolved(url, commit), image)
    with pytest.raises(BuildBroken, match="no full git commit"):
        await built(builder, resolved(plain_http, "--upload-pack=x"), image)


async def test_leftovers_of_a_killed_member_go_at_the_next_start(safe: Member) -> None:
    half = safe.state / "builds" / "half" / "tree"
    half.mkdir(parents=True)
    half.chmod(0o500)
    safe.builder()
    assert safe.left_over() == []


async def test_two_members_that_start_at_once_make_one_base(machine: Path) -> None:
    """Two members that start on an empty machine: one makes the base image, the other fetches it."""
    root = machine / "fresh"
    (root / "cache").mkdir(parents=True)
    (root / "cache" / "uv").symlink_to(machine / "cache" / "uv")

    async def warm(name: str) -> list[str]:
        return [line async for line in Member(root, name, SAFEST).builder().warm()]

    told = [line for lines in await asyncio.gather(warm("a"), warm("b")) for line in lines]
    assert len([line for line in told if line.startswith("Making the base")]) == 1
    assert len(list((root / "store" / "blobs" / "sha256").iterdir())) == 3
    assert len(list((root / "store" / "unpacked").iterdir())) == 1
    assert list((root / "store" / "incoming").iterdir()) == []
