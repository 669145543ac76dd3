"""Our streams against what a stock BinderHub sent, byte for byte."""

import json
import re

from contract_files import STOCK, recorded
from member_fakes import SPEC, FakeBuilder, FakeHub, FakeProvider, FakeStore, Listener
from pytest import mark

from members.core.model import BuildFailed, BuildLine, LaunchRequest, ResolveError
from members.core.phases import Event, event_of
from members.core.quota import Quota
from members.service.builds import Builds
from members.service.launch import Launcher
from members.service.pipeline import Pipeline, Source
from members.service.sessions import Sessions
from members.web.build import encode

REQUEST = LaunchRequest("git", SPEC, "127.0.0.1", "http://127.0.0.1:8200/services/binder/")


def data_lines(name: str) -> list[str]:
    """The data lines of a stream, in order."""
    return re.findall(r"(?m)^data: (.*)$", recorded(f"{STOCK}/{name}").decode())


class Stage:
    """A pipeline whose world is set up as that of the recording."""

    def __init__(self, events: list[Event]) -> None:
        self.store, self.hub, told = FakeStore(), FakeHub(), Listener()
        self.builder = FakeBuilder(self.store)
        self.provider = FakeProvider()
        ready = next((event for event in events if event.get("phase") == "ready"), {})
        self.hub.url = "http://127.0.0.1:8200/"
        self.hub.next_name = str(ready.get("url", "//")).rstrip("/").rpartition("/")[2]
        self.hub.messages = ["Server requested", "Spawning server..."]
        builds = Builds(self.builder, self.store, told, concurrent=1, timeout=9, log_limit=10**6)
        sessions = Sessions(self.hub, Quota(), told)
        self.pipeline = Pipeline(
            {"git": Source(self.provider)},
            self.store,
            builds,
            sessions,
            Launcher(self.store, self.hub, sessions, told, attempts=1),
            told,
            image_prefix="127.0.0.1:5000/m8200/",
            new_token=lambda: str(ready.get("token")),
        )

    async def wire(self, request: LaunchRequest) -> list[str]:
        events = [encode(event_of(event)) async for event in self.pipeline.run(request)]
        assert all(event.startswith(b"data: ") and event.endswith(b"\n\n") for event in events)
        return [event[len(b"data: ") : -2].decode() for event in events]


async def test_a_launch_of_a_known_image() -> None:
    expected = data_lines("cached-launch")
    stage = Stage([json.loads(line) for line in expected])
    stage.store.images.add(json.loads(expected[0])["imageName"])
    assert await stage.wire(REQUEST) == expected


async def test_a_launch_with_a_build() -> None:
    expected = data_lines("cold-requirements")
    events = [json.loads(line) for line in expected]
    stage = Stage(events)
    start, stop = 1, next(index for index, event in enumerate(events) if event.get("phase") == "built")
    stage.builder.lines = [BuildLine(event["message"], event.get("phase")) for event in events[start:stop]]
    assert len(stage.builder.lines) > 50
    assert await stage.wire(REQUEST) == expected


async def test_a_failed_build_ends_as_repo2docker_ends_it() -> None:
    """Upstream's last line also has a traceback as `exc_info`, which is nobody's business."""
    last = json.loads(data_lines("build-failure")[-1])
    stage = Stage([])
    stage.builder.error = BuildFailed(last["message"])
    ours = json.loads((await stage.wire(REQUEST))[-1])
    assert list(ours) == [key for key in last if key != "exc_info"]
    assert (ours["message"], ours["phase"]) == (last["message"] + "\n", last["phase"])


@mark.parametrize(
    ("name", "spec", "answer"),
    [
        ("bad-ref", "git%3A%2F%2F127.0.0.1%3A9418%2Fbad.git/nosuchref", None),
        (
            "no-repository",
            "git%3A%2F%2F127.0.0.1%3A9418%2Fnosuch.git/main",
            ResolveError(
                "Unable to run git ls-remote to get the `resolved_ref`: "
                "fatal: remote error: access denied or repository not exported: /nosuch.git\n"
            ),
        ),
    ],
)
async def test_a_ref_that_does_not_resolve(name: str, spec: str, answer: Exception | None) -> None:
    stage = Stage([])
    stage.provider.answers = {spec: answer}
    ours = await stage.wire(LaunchRequest("git", spec, "", ""))
    (expected,) = data_lines(name)
    # Upstream adds its own line break to the one that git's message ends with.
    assert ours == [expected.replace("\\n\\n", "\\n")]


async def test_an_unknown_provider() -> None:
    assert await Stage([]).wire(LaunchRequest("nope", "x/y", "", "")) == data_lines("bad-provider")
