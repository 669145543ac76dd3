"""Ports, identities, plans and configuration of a local federation, without any child process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from federation import settings as front_door_settings
from federation.core.model import MemberCosts
from federation.core.operatortoken import digest
from federation.core.rules import Role
from federation.local.child import Child, Program
from federation.local.files import write_private
from federation.local.layout import FRONT_DOOR, Layout, member_names
from federation.local.leftovers import end_leftovers
from federation.local.lock import Locked, hold
from federation.local.parent import WrongParent, follow_parent
from federation.local.plan import MemberPlan, Offer, Plan, front_door_document, member_document, merged
from federation.local.ports import FIRST, LAST, NoFreePort, choose, is_free, next_free
from federation.local.prepare import Wish, make_plan, shipped_examples, write_configurations
from federation.local.processes import Identity, family, identify, runs, send, write_pid_file
from federation.local.supervisor import delay
from federation.settings import SettingsError
from federation.settings.local import Kind, LocalFile, kind_of, load_examples, load_local
from federation.web.identity import holder

CONFIG = Path(__file__).resolve().parents[3] / "config"


def listening() -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", 0))
    server.listen()
    return server


def test_a_listening_port_is_not_free_and_a_closed_one_is_free_at_once() -> None:
    server = listening()
    port = server.getsockname()[1]
    client = socket.create_connection(("127.0.0.1", port))
    accepted, _ = server.accept()
    assert not is_free(port)
    for each in (
        accepted,
        client,
        server,
    ):  # the server closes first and so keeps the connection in TIME_WAIT
        each.close()
    assert is_free(port)


def test_the_next_free_port_passes_over_a_taken_one() -> None:
    with listening() as server:
        port = server.getsockname()[1]
        assert next_free(port) > port


def test_no_port_above_the_last_one() -> None:
    with pytest.raises(NoFreePort, match="from 65536"):
        next_free(65536)


def test_chosen_ports_stay_the_same_for_a_folder_and_lie_below_the_kernels_own_range() -> None:
    ports = choose(4, seed="/some/folder")
    assert choose(4, seed="/some/folder") == ports
    assert len(set(ports)) == 4
    assert all(FIRST <= port < LAST for port in ports)
    assert ports[0] not in choose(4, seed="/some/folder", taken=ports[:1])


def test_a_pid_with_another_start_time_is_somebody_else() -> None:
    me = identify(os.getpid())
    assert me is not None and runs(me)
    assert not runs(Identity(me.pid, me.started + 1, me.boot))
    assert not runs(Identity(me.pid, me.started, "another boot"))


def test_leftovers_are_ended_with_their_children_and_strangers_are_left_alone(tmp_path: Path) -> None:
    ours = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; setsid sleep 600 & wait; wait"], start_new_session=True
    )
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        for _ in range(100):
            process = identify(ours.pid)
            assert process is not None
            if len(family(process)) == 2:
                break
            time.sleep(0.05)
        relatives = family(process)
        assert len(relatives) == 2
        write_pid_file(tmp_path / "member-a.json", process)
        other = identify(stranger.pid)
        assert other is not None
        # A pid that was ours in an earlier life and is a stranger's now.
        write_pid_file(tmp_path / "member-b.json", Identity(other.pid, other.started - 1, other.boot))
        (tmp_path / "member-c.json").write_text("{damaged")
        reaper = threading.Thread(target=ours.wait)
        reaper.start()
        assert end_leftovers(tmp_path) == ("member-a",)
        reaper.join()
        assert not any(runs(relative) for relative in relatives)
        assert stranger.poll() is None
        assert list(tmp_path.iterdir()) == []
    finally:
        stranger.kill()
        stranger.wait()


def test_only_one_holder_of_a_lock(tmp_path: Path) -> None:
    holder = hold(tmp_path / "lock")
    with holder, pytest.raises(Locked, match=f"pid {os.getpid()}"), hold(tmp_path / "lock"):
        pass
    with hold(tmp_path / "lock"):
        pass


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_the_pause_before_a_restart_grows_and_has_an_end() -> None:
    pauses = [delay(failures) for failures in range(1, 12)]
    assert pauses == sorted(pauses)
    assert pauses[0] <= 1
    assert pauses[-1] == pauses[-2] <= 30
    assert delay(10**6) == pauses[-1]


def test_a_parent_that_is_no_pid_is_refused() -> None:
    with pytest.raises(WrongParent, match="'soon'"):
        follow_parent({"BINDER_EXIT_WITH_PARENT": "soon"})
    assert not follow_parent({})


def test_merging_joins_mappings_and_replaces_the_rest() -> None:
    assert merged({"a": {"b": 1, "c": [1]}, "d": 1}, {"a": {"c": [2]}, "e": 2}) == {
        "a": {"b": 1, "c": [2]},
        "d": 1,
        "e": 2,
    }


@pytest.fixture
def plan() -> Plan:
    return Plan(
        port=8080,
        members=(MemberPlan("member-a", 20001, 20002), MemberPlan("member-b", 20003, 20004)),
        offers=(Offer("A notebook", "Plain.", "file:///examples/notebook.git", "lab"),),
        extra_front_door={"title": "Mine", "launch": {"attempts": 2}},
        extra_member={
            "image_prefix": "mine/",
            "sessions": {"max": 3},
            "providers": {"git": {"protocols": ["https"], "file_roots": ["/srv/git"]}},
        },
        member_costs={"monthly": 60.0},
        build_secret="5e" * 32,
        operator_token="0123456789abcdef" * 4,
    )


def test_the_front_doors_file_is_accepted_by_the_front_door(plan: Plan, tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.create()
    write_configurations(plan, layout)
    found = front_door_settings.load(layout.config(FRONT_DOOR))
    assert found.title == "Mine"
    assert {member.costs for member in found.members} == {MemberCosts(monthly=60.0)}
    assert found.state_folder == str(tmp_path / "front-door")
    assert [(one.name, one.role) for one in found.operators] == [("local", Role.OPERATOR)]
    assert holder(found.operators, digest(plan.operator_token)) is not None
    assert plan.operator_token not in layout.config(FRONT_DOOR).read_text()
    assert found.launch.attempts == 2
    assert [(member.name, member.url) for member in found.members] == [
        ("member-a", "http://127.0.0.1:20001"),
        ("member-b", "http://127.0.0.1:20003"),
    ]
    assert [(s.provider, s.repo, s.ref) for s in found.suggestions] == [
        ("git", "file:///examples/notebook.git", "HEAD")
    ]


def test_members_share_images_and_prefix_and_have_the_rest_for_themselves(plan: Plan, tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    a, b = (member_document(plan, member, layout) for member in plan.members)
    assert a["images"] == b["images"] == {"store": str(tmp_path / "images")}
    assert a["image_prefix"] == b["image_prefix"] == "mine/"
    assert a["launch_host"] == "http://127.0.0.1:8080/"
    for key in ("name", "port", "state_dir", "hub"):
        assert a[key] != b[key]
    assert a["sessions"] == {"max": 3}
    assert a["providers"]["git"] == {
        "protocols": ["https", "file"],
        "file_roots": ["/srv/git", str(tmp_path / "repositories")],
    }
    assert front_door_document(plan, layout)["members"].keys() == {"member-a", "member-b"}


def test_every_shipped_example_is_offered_as_a_repository_on_this_machine(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.create()
    plan = make_plan(Wish(LocalFile(), tmp_path), layout, None)
    assert [Path(offer.repo_url).stem for offer in plan.offers] == ["notebook", "numpy-plot", "web-app"]
    for offer in plan.offers:
        refs = subprocess.run(["git", "ls-remote", offer.repo_url, "HEAD"], capture_output=True, check=True)
        assert refs.stdout


def test_every_example_folder_is_listed_and_its_notebooks_are_tidy() -> None:
    examples = shipped_examples()
    assert examples is not None
    listed = {example.repo for example in load_examples(examples / "suggestions.yaml")}
    assert listed == {path.name for path in examples.iterdir() if path.is_dir()}
    notebooks = list(examples.rglob("*.ipynb"))
    assert notebooks
    for path in notebooks:
        notebook = json.loads(path.read_text())
        assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
        assert notebook["metadata"]["kernelspec"]["name"] == "python3"
        ids = [cell["id"] for cell in notebook["cells"]]
        assert len(set(ids)) == len(ids)
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook["cells"])


def test_member_names_go_through_the_alphabet() -> None:
    assert member_names(3) == ("member-a", "member-b", "member-c")


def test_the_shipped_local_file_says_what_the_defaults_are() -> None:
    assert load_local(CONFIG / "local.yaml") == LocalFile() == load_local(None)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("members: 0", "members: got 0"),
        ("members: two", 'members: got "two"'),
        ("runtime: podman", 'runtime: got "podman"'),
        ("port: 70000", "port: got 70000"),
        ("prot: 1", "did you mean port?"),
        ("member: {port: 1}", "no `port` here: `up` chooses it"),
        ("member: {images: {store: /tmp}}", "no `images.store` here"),
        ("front_door: {members: {}}", "no `members` here"),
    ],
)
def test_a_bad_local_file_is_refused_with_key_value_and_expectation(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = tmp_path / "local.yaml"
    path.write_text(text + "\n")
    with pytest.raises(SettingsError) as refusal:
        load_local(path)
    assert complaint in str(refusal.value)
    assert f"{path}:1" in str(refusal.value)


@pytest.mark.parametrize(
    ("file", "kind"), [("local", Kind.LOCAL), ("federation", Kind.FRONT_DOOR), ("member", Kind.MEMBER)]
)
def test_the_kinds_of_files_are_told_apart(file: str, kind: Kind) -> None:
    assert kind_of(CONFIG / f"{file}.yaml") is kind


def test_signals_reach_only_the_process_that_was_meant() -> None:
    process = subprocess.Popen(["sleep", "600"])
    try:
        me = identify(process.pid)
        assert me is not None
        send(Identity(me.pid, me.started + 1, me.boot), signal.SIGKILL)
        assert process.poll() is None
        send(me, signal.SIGKILL)
        assert process.wait(10) == -9
        assert not runs(me)
    finally:
        process.kill()
        process.wait()


async def test_a_childs_end_is_told_with_its_code_and_ends_its_process_group(tmp_path: Path) -> None:
    script = "sleep 600 & echo $! > pid; exit 3"
    program = Program(
        "member-a",
        ("sh", "-c", script),
        log=tmp_path / "log",
        pid_file=tmp_path / "pid.json",
        port=1,
        folder=tmp_path,
        env={},
    )
    assert await Child(program).wait() == 3
    left = identify(int((tmp_path / "pid").read_text()))
    for _ in range(100):
        if left is None or not runs(left):
            break
        await asyncio.sleep(0.05)
    assert left is None or not runs(left)
    assert not program.pid_file.exists()
