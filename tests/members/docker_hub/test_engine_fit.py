"""What a member says of engines, and of registries, that cannot do what it needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web
from engine_stage import Engine
from registry_stage import RunningRegistry, start_registry

from members.adapters.registry import Place
from members.core.enginefit import gateway, keeps_apart, shortcomings, unfit
from members.runtimes.docker import docker_world
from members.runtimes.registry import open_to_sessions
from members.runtimes.world import RuntimeFailed
from members.settings.load import parse

VERSION = {"Version": "20.10.24", "ApiVersion": "1.41", "Components": [{"Name": "Engine"}]}
INFO = {
    "OSType": "linux",
    "SecurityOptions": ["name=seccomp,profile=default"],
    "MemoryLimit": True,
    "SwapLimit": True,
    "PidsLimit": True,
    "CpuCfsQuota": True,
    "BridgeNfIptables": True,
    "DriverStatus": [["Backing Filesystem", "extfs"]],
}


@pytest.mark.parametrize(
    ("version", "info", "why"),
    [
        ({"Components": [{"Name": "Podman Engine"}]}, {}, "is podman's"),
        ({"Version": "19.03", "ApiVersion": "1.40"}, {}, "is 19.03: expected 20.10 or newer"),
        ({"ApiVersion": None}, {}, "expected 20.10"),
        ({}, {"SecurityOptions": ["name=seccomp,profile=default", "name=rootless"]}, "is rootless"),
        ({}, {"OSType": "windows"}, "containers of windows"),
    ],
)
def test_an_engine_that_will_not_do(version: dict[str, object], info: dict[str, object], why: str) -> None:
    assert why in str(unfit(VERSION | version, INFO | info))


def test_an_engine_that_will_do() -> None:
    assert unfit(VERSION, INFO) is None
    assert unfit(VERSION, INFO | {"SecurityOptions": ["name=userns", "name=cgroupns"]}) is None
    assert shortcomings(INFO) == []


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"MemoryLimit": False, "PidsLimit": False}, "does not limit memory, processes of sessions"),
        ({"BridgeNfIptables": False}, "reach each other's ports"),
        (
            {"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]},
            "steps of builds are not limited",
        ),
    ],
)
def test_what_an_engine_cannot_do_is_told(info: dict[str, object], words: str) -> None:
    [told] = shortcomings(INFO | info)
    assert words in told


def test_networks_that_operators_made() -> None:
    apart = {"com.docker.network.bridge.enable_icc": "false"}
    assert keeps_apart({"Driver": "bridge", "Options": apart})
    assert not keeps_apart({"Driver": "bridge", "Options": None})
    assert not keeps_apart({"Driver": "macvlan", "Options": apart})
    assert gateway({"IPAM": {"Config": [{"Subnet": "10.1.0.0/16"}, {"Gateway": "10.1.0.1"}]}}) == "10.1.0.1"
    assert gateway({"IPAM": {"Config": None}}) is None


async def test_podman_in_dockers_place_is_refused_by_name(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        told = {"Version": "4.3.1", "ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}]}
        return web.json_response(told if request.path.endswith("version") else {})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "podman.sock")).start()
    text = f"runtime: docker\nstate_dir: {tmp_path}/state\ndocker: {{host: 'unix://{tmp_path}/podman.sock'}}"
    with pytest.raises(RuntimeFailed, match=r"podman\.sock is podman's: expected Docker's engine"):
        async with docker_world(parse(text, tmp_path / "member.yaml", {}), print):
            pass
    await runner.cleanup()


@pytest.mark.integration
@pytest.mark.docker
async def test_a_registry_that_sessions_could_write_to_is_found(
    engine: Engine, registry: RunningRegistry, tmp_path: Path
) -> None:
    def place(url: str) -> Place:
        # What the member itself may do there counts not.
        return Place("distribution", url, "any/x-", tmp_path, username="member", password="secret")

    assert not await open_to_sessions(place(registry.url), engine.address)  # listens to loopback alone
    users = tmp_path / "users"
    users.write_text("member:$2y$04$bTohVVGyJjgX0A/eCkye5OFz/xbagDlY0yGNtWRQBSiqeJv0f6.zC\n")
    guard = f"auth: {{htpasswd: {{realm: x, path: {users}}}}}"
    guarded = start_registry(tmp_path / "guarded", more=guard, address=engine.address)
    exposed = start_registry(tmp_path / "open", address=engine.address)
    try:
        assert not await open_to_sessions(place(guarded.url), engine.address)
        assert await open_to_sessions(place(exposed.url), engine.address)
        # The same one by the name that only this machine has for it.
        assert await open_to_sessions(place(f"http://localhost:{exposed.port}"), engine.address)
        assert not await open_to_sessions(place(f"http://localhost:{exposed.port}"), None)
    finally:
        guarded.kill()
        exposed.kill()
