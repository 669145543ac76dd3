from __future__ import annotations

import json
import re

import pytest
from contract_files import FOLDER, OURS, names, recorded
from normalising import HERE, IMAGE, LAUNCH, TOKEN, USER, normalised


def frames(launch: str, *events: dict[str, object], first: int = 1) -> bytes:
    return b"".join(
        f"id: {launch}.{number}\ndata: {json.dumps(event)}\n\n".encode()
        for number, event in enumerate(events, first)
    )


def test_two_launches_of_one_story_are_the_same_bytes() -> None:
    def launch(id: str, user: str, token: str, image: str, port: int, folder: str, seconds: str) -> bytes:
        return frames(
            id,
            {"message": f"Cloning into '/tmp/repo2docker{user}'...\n", "phase": "fetching"},
            {"message": f"from {folder}/repo at 127.0.0.1:{port}\n", "phase": "building"},
            {"phase": "built", "imageName": image, "message": "Found built image, launching...\n"},
            {"phase": "launching", "message": f"The image is ready on this member after {seconds}\n"},
            {"phase": "launching", "message": f"Server ready at /user/{user}/\n"},
            {
                "phase": "ready",
                "image": image,
                "token": token,
                "url": f"http://127.0.0.1:{port}/user/{user}/",
            },
        )

    one = launch(
        "A" * 22, "r-1abcdefg", "t" * 22, f"r/i:{'1' * 40}", 8000, "/tmp/pytest-of-x/pytest-3/t0", "0.2s"
    )
    two = launch(
        "B" * 22, "r-9zzzzzzz", "u" * 22, f"r/j:{'2' * 40}", 9411, "/var/pytest-of-y/pytest-12/u1", "31.4 s"
    )
    assert normalised(one) == normalised(two)
    told = normalised(one).decode()
    for word in (LAUNCH, TOKEN, IMAGE, USER, HERE, "127.0.0.1:1234"):
        assert word in told


def test_lines_of_a_tool_in_no_certain_number_are_one_and_events_are_numbered_anew() -> None:
    first = {"message": "Using DockerBuildPack builder\n", "phase": "building"}
    steps = [{"message": f"#{step} DONE 0.1s\n", "phase": "building"} for step in range(7)]
    last = {"message": "Error during build: no\n", "phase": "failed"}
    many, few = (
        frames("A" * 22, first, *steps, last, first=4),
        frames("B" * 22, first, steps[5], last, first=4),
    )
    assert normalised(many) == normalised(few)
    assert [line for line in normalised(many).decode().split("\n") if line.startswith("id:")] == [
        f"id: {LAUNCH}.{number}" for number in (4, 5, 6)
    ]


def test_comments_in_a_row_are_one() -> None:
    event = frames("A" * 22, {"phase": "waiting", "message": "x\n"})
    assert normalised(event + b":keepalive\n\n" * 3) == normalised(event + b":keepalive\n\n")
    assert normalised(event + b":keepalive\n\n") != normalised(event)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"phase": "failed", "message": "a\n"}, {"message": "a\n", "phase": "failed"}),
        ({"phase": "failed", "message": "a\n"}, {"phase": "failed", "message": "a"}),
        ({"phase": "failed", "message": "a\n"}, {"phase": "failed", "status_code": 500, "message": "a\n"}),
        ({"phase": "failed", "message": "in 60 seconds"}, {"phase": "failed", "message": "in 61 seconds"}),
        ({"message": "#1 x\n", "phase": "building"}, {"message": "#1 x\n", "phase": "unknown"}),
    ],
    ids=["order", "newline", "status", "words", "phase"],
)
def test_a_change_of_the_wire_is_still_seen(one: dict[str, object], two: dict[str, object]) -> None:
    assert normalised(frames("A" * 22, one)) != normalised(frames("A" * 22, two))


def test_the_source_of_every_file_is_told() -> None:
    table = re.findall(r"^\| `(\w+/[\w-]+)` \|", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert sorted(table) == names(*OURS)


@pytest.mark.parametrize("name", names(*OURS))
def test_the_files_are_normalised(name: str) -> None:
    assert normalised(recorded(name)) == recorded(name)
