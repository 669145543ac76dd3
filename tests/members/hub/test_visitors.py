"""What a session is to its visitor and to strangers: token, environment, origins, limits, failures."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest
from contract_member import told_start

from members.adapters.hub_session import FULL, HubSession
from members.adapters.oci_layout import unpacked_path
from members.core.model import Isolation, LaunchFailed
from members.core.quota import QuotaExceeded
from tests.members.hub.conftest import (
    BROKEN,
    HANGING,
    IMAGE,
    STARTED,
    Running,
    children,
    command,
    session_request,
)
from tests.members.hub.kernels import run

WILY = "registry.example.org/i-wily:1"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.parametrize("shared", [Isolation.BUBBLEWRAP], indirect=True, scope="session"),
]


async def test_only_the_token_opens_a_session(shared: Running, session: tuple[HubSession, str]) -> None:
    ready, token = session
    assert ready.url.startswith(shared.url + "user/")
    assert (await shared.text(f"{ready.url}api/status?token=wrong"))[0] == 403
    assert (await shared.text(f"{ready.url}api/kernels"))[0] == 403
    assert (await shared.text(f"{ready.url}lab?token={token}"))[0] == 200
    status, _ = await shared.text(f"{ready.url}?token={token}")
    assert status == 302  # to its /lab


async def test_other_origins_may_embed_a_session(shared: Running, session: tuple[HubSession, str]) -> None:
    ready, token = session
    headers = {"Origin": "https://book.example.org", "Authorization": f"token {token}"}
    async with shared.http.get(f"{ready.url}api/status", headers=headers) as reply:
        assert reply.status == 200
        assert reply.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_public_host_name_is_accepted(shared: Running, session: tuple[HubSession, str]) -> None:
    ready, token = session
    headers = {"Host": "hub.example.org"}
    async with shared.http.get(f"{ready.url}api/status?token={token}", headers=headers) as reply:
        assert reply.status == 200


async def test_the_environment_is_binders_and_nothing_of_the_hubs(
    shared: Running, session: tuple[HubSession, str]
) -> None:
    ready, token = session
    printed = await run(shared.http, ready.url, token, "import os, json; print(json.dumps(dict(os.environ)))")
    found = json.loads(printed)
    wanted = session_request()
    assert {name: value for name, value in found.items() if name.startswith("BINDER_")} == {
        "BINDER_REPO_URL": wanted.repo_url,
        "BINDER_REF_URL": wanted.ref_url,
        "BINDER_LAUNCH_HOST": wanted.launch_host,
        "BINDER_REQUEST": wanted.binder_request,
        "BINDER_PERSISTENT_REQUEST": wanted.persistent_request,
        "BINDER_CLIENT_IP": wanted.client_ip,
    }
    assert not [
        name for name in found if name.endswith("API_TOKEN") or name == "BINDER_MEMBER_HUB_PARAMETERS"
    ]
    assert found["JUPYTERHUB_SERVICE_PREFIX"] == f"/user/{ready.name}/"
    assert shared.hub.api_token not in printed


async def test_no_secret_is_on_a_command_line(shared: Running, session: tuple[HubSession, str]) -> None:
    _, token = session
    parameters = json.loads((shared.state_dir / "hub" / "parameters.json").read_text())
    secrets = [token, parameters["api_token"], parameters["proxy_token"], parameters["cookie_secret"]]
    shown = [" ".join(command(process)) for process in children(shared)]
    assert len(shown) >= 4  # proxy, culler, sandbox, server
    assert not [line for line in shown for secret in secrets if secret in line]
    mode = (shared.state_dir / "hub" / "parameters.json").stat().st_mode
    assert mode & 0o777 == 0o600


async def test_events_and_raw_paths_pass_the_proxy(shared: Running) -> None:
    """The hub's own progress stream and API lie behind the same proxy as the sessions."""
    headers = {"Authorization": f"token {shared.hub.api_token}"}
    ready = shared.client.create(session_request())
    progress = asyncio.create_task(_messages(ready))
    first = f"{shared.url}hub/api/users/{ready.name}/server/progress"
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0.3)
    async with shared.http.get(first, headers=headers) as stream:
        lines = [(loop.time(), line) async for line in stream.content if line.startswith(b"data:")]
    arrived = [(when, json.loads(line[5:])["message"]) for when, line in lines]
    assert [message for _, message in arrived] == await progress
    assert arrived[0][1] == "Server requested"
    assert arrived[-1][1] == f"Server ready at /user/{ready.name}/"
    assert arrived[-1][0] - arrived[0][0] > 0.3  # not kept back until the end
    await ready.remove()
    async with shared.http.post(f"{shared.url}hub/api/users/a%2Fb", headers=headers) as reply:
        assert reply.status == 400, "a name with a slash is refused; as two path segments it would be 404"


async def test_a_start_script_wraps_the_server(shared: Running) -> None:
    ready, token = await shared.launch(STARTED)
    assert await run(shared.http, ready.url, token, "import os; os.environ['GREETING']") == "'from start'"
    assert (await shared.client.sessions())[STARTED] == 1
    await ready.remove()
    assert STARTED not in await shared.client.sessions()


async def test_a_server_that_ends_while_starting_fails_with_its_last_words(
    shared: Running, tmp_path: Path
) -> None:
    with pytest.raises(LaunchFailed, match="the data is missing"):
        await told_start("process/server-ends", tmp_path, shared.client, BROKEN)
    assert [
        path for path in (shared.state_dir / "sessions").iterdir() if (path / "home/binder/start").exists()
    ] == []


async def test_a_start_script_that_is_a_link_to_a_pipe_does_not_hold_the_hub_up(shared: Running) -> None:
    """The pipe could lie in another session's home: nothing of the hub's may open what a repository links to."""
    unpacked = unpacked_path(shared.state_dir, WILY)
    shutil.copytree(unpacked_path(shared.state_dir, STARTED), unpacked, symlinks=True)
    os.mkfifo(shared.state_dir / "pipe")
    (unpacked / "home" / "binder" / "start").unlink()
    (unpacked / "home" / "binder" / "start").symlink_to(shared.state_dir / "pipe")
    async with asyncio.timeout(30):
        with pytest.raises(LaunchFailed, match="ended while starting"):
            await shared.launch(WILY)
    assert (await shared.client.check()).ok


async def test_a_session_that_dies_is_told_to_its_visitor_and_cleared_away(shared: Running) -> None:
    ready, token = await shared.launch(STARTED)
    own = [each for each in children(shared) if f"/user/{ready.name}/" in " ".join(command(each))]
    own[0].kill()
    async with asyncio.timeout(5):
        while (answer := await shared.text(f"{ready.url}lab?token={token}"))[0] == 200:
            await asyncio.sleep(0.05)
    assert answer[0] in (404, 503)
    assert "Binder not found" in answer[1]
    folder = shared.state_dir / "sessions" / ready.name
    async with asyncio.timeout(15):
        while STARTED in await shared.client.sessions() or folder.exists():
            await asyncio.sleep(0.2)
    assert (await shared.text(f"{ready.url}lab?token={token}"))[0] == 404


async def test_an_image_that_is_not_there_fails_clearly(shared: Running, tmp_path: Path) -> None:
    with pytest.raises(LaunchFailed, match="no JupyterLab on this member"):
        await told_start("process/image-missing", tmp_path, shared.client, "registry.example.org/nothing:1")


async def test_the_hub_has_room_for_so_many_and_no_more(
    shared: Running, session: tuple[HubSession, str], tmp_path: Path
) -> None:
    starting = [shared.client.create(session_request(HANGING)) for _ in range(3)]
    told = [each.progress() for each in starting]
    for each in told:
        await anext(each)
    with pytest.raises(QuotaExceeded, match=FULL):
        await told_start("process/full-hub", tmp_path, shared.client, IMAGE)
    for each in told:
        await each.aclose()
    await asyncio.gather(*(each.remove() for each in starting))


@pytest.mark.parametrize("path", ["", "hub/home", "hub/login", "hub/admin", "hub/spawn", "user/nobody/lab"])
async def test_strangers_get_one_page(shared: Running, path: str) -> None:
    status, page = await shared.text(shared.url + path)
    assert (status, "Binder not found" in page) == (404, True)


async def test_the_api_is_closed_without_the_token(shared: Running) -> None:
    assert (await shared.text(f"{shared.url}hub/api/users"))[0] == 403
    async with shared.http.post(f"{shared.url}hub/api/users/me") as reply:
        assert reply.status == 403


async def _messages(session: HubSession) -> list[str]:
    return [message async for message in session.progress()]
