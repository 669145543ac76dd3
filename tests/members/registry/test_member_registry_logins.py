import base64
import json
import os
import time
from pathlib import Path

from pytest import MonkeyPatch, mark, raises

from members.adapters.registry_logins import DockerConfig
from members.core.model import Credentials, RegistryDown

HUB = "https://index.docker.io/v1/"


def config(folder: Path, content: object, *, helper_limit: float = 20.0) -> DockerConfig:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return DockerConfig(folder, helper_limit=helper_limit)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def helper(folder: Path, monkeypatch: MonkeyPatch, script: str) -> None:
    """A program docker-credential-test on PATH."""
    folder.mkdir(exist_ok=True)
    program = folder / "docker-credential-test"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


async def test_no_file_is_anonymous(tmp_path: Path) -> None:
    assert await DockerConfig(tmp_path / "none").credentials("docker.io") is None


@mark.parametrize(
    ("key", "host", "registry"),
    [
        ("r.example.org:5000", "r.example.org:5000", "r.example.org:5000"),
        ("https://r.example.org", "r.example.org", "r.example.org"),
        ("https://r.example.org/v2/", "r.example.org", "r.example.org"),
        (HUB, "docker.io", HUB),
        ("docker.io", "docker.io", HUB),
    ],
)
async def test_entries(tmp_path: Path, key: str, host: str, registry: str) -> None:
    found = config(
        tmp_path, {"auths": {"other.example.org": {"auth": encoded("x:y")}, key: {"auth": encoded("me:a:b")}}}
    )
    assert await found.credentials(host) == Credentials("me", "a:b", registry)


async def test_an_entry_in_plain_words(tmp_path: Path) -> None:
    found = config(tmp_path, {"auths": {"r": {"username": "me", "password": "pw"}}})
    assert await found.credentials("r") == Credentials("me", "pw", "r")


async def test_an_identity_token_says_so(tmp_path: Path) -> None:
    found = config(tmp_path, {"auths": {"r": {"auth": encoded("me:pw"), "identitytoken": "idt"}}})
    assert await found.credentials("r") == Credentials("<token>", "idt", "r")


async def test_secrets_are_not_shown(tmp_path: Path) -> None:
    found = config(tmp_path, {"auths": {"r": {"auth": encoded("me:hunter2")}}})
    assert "hunter2" not in repr(await found.credentials("r"))


async def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    found = config(tmp_path, {})
    assert await found.credentials("r") is None
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"r": {"auth": encoded("me:pw")}}}))
    os.utime(tmp_path / "config.json", (1, 1))
    assert await found.credentials("r") == Credentials("me", "pw", "r")


@mark.parametrize(
    "content",
    ["no json", "[]", {"auths": {"r": {"auth": "!"}}}, {"auths": {"r": {"auth": encoded("no colon")}}}],
)
async def test_broken_files_are_named(tmp_path: Path, content: object) -> None:
    with raises(RegistryDown, match=r"config\.json: .*expected"):
        await config(tmp_path, content).credentials("r")


@mark.parametrize("content", [{"auths": []}, {"auths": {"r": 3}}, {"auths": {"r": {}}}, {"credHelpers": 1}])
async def test_odd_files_hold_nothing(tmp_path: Path, content: object) -> None:
    assert await config(tmp_path, content).credentials("r") is None


@mark.parametrize("section", [{"credsStore": "test"}, {"credHelpers": {"r.example.org": "test"}}])
async def test_a_helper_is_asked_for_the_registry(
    tmp_path: Path, monkeypatch: MonkeyPatch, section: dict[str, object]
) -> None:
    answer = '{"ServerURL":"x","Username":"u","Secret":"s-from-helper"}'
    helper(
        tmp_path / "bin", monkeypatch, f'[ "$1" = get ] && [ "$(cat)" = r.example.org ] && echo \'{answer}\''
    )
    found = config(tmp_path / "docker", {**section, "auths": {"r.example.org": {}}})
    assert await found.credentials("r.example.org") == Credentials("u", "s-from-helper", "r.example.org")


async def test_a_helper_of_one_registry_is_not_asked_for_others(
    tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    helper(tmp_path / "bin", monkeypatch, "exit 9")
    found = config(
        tmp_path / "docker", {"credHelpers": {"r": "test"}, "auths": {"s": {"auth": encoded("me:pw")}}}
    )
    assert await found.credentials("s") == Credentials("me", "pw", "s")


async def test_a_helper_that_knows_nothing_leaves_it_to_the_entry(
    tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    helper(
        tmp_path / "bin",
        monkeypatch,
        "cat >/dev/null; echo 'credentials not found in native keychain'; exit 1",
    )
    found = config(tmp_path / "docker", {"credsStore": "test"})
    assert await found.credentials("r") is None


@mark.parametrize(
    ("script", "says"),
    [
        ("echo nonsense", "something else than credentials"),
        ("echo '[]'", "something else than credentials"),
        ('echo \'{"Username": 3, "Secret": ""}\'', "something else than credentials"),
        ("exit 3", "status 3"),
        ("yes", "failed"),
    ],
)
async def test_helpers_that_fail(tmp_path: Path, monkeypatch: MonkeyPatch, script: str, says: str) -> None:
    helper(tmp_path / "bin", monkeypatch, script)
    with raises(RegistryDown, match=says):
        await config(tmp_path / "docker", {"credsStore": "test"}).credentials("r")


async def test_a_helper_that_hangs_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    pids = tmp_path / "pids"
    helper(tmp_path / "bin", monkeypatch, f"sleep 300 & echo $! $$ > {pids}; wait")
    with raises(RegistryDown, match="did not answer within 2 seconds"):
        await config(tmp_path / "docker", {"credsStore": "test"}, helper_limit=2.0).credentials("r")
    deadline = time.monotonic() + 5
    while any(_lives(int(pid)) for pid in pids.read_text().split()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _lives(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@mark.parametrize("name", ["../evil", "a b", "", 3])
async def test_helper_names_lead_nowhere_else(tmp_path: Path, name: object) -> None:
    found = config(tmp_path, {"credHelpers": {"r": name}})
    if name:
        with raises(RegistryDown, match="expected the name of a credential helper"):
            await found.credentials("r")
    else:
        assert await found.credentials("r") is None


async def test_a_missing_helper_is_named(tmp_path: Path) -> None:
    with raises(RegistryDown, match="docker-credential-nosuch"):
        await config(tmp_path, {"credsStore": "nosuch"}).credentials("r")
