"""Each fault around a docker member: what the visitor reads, what is counted, what is left (nothing).

docs/faults.md is the table of these cases for operators.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from fault_proxy import FaultProxy

from federation.core.phases import Ending, judge, past_the_build, phase_of
from tests.members.docker_faults.faulty_member import SEATS, Event, FaultyMember

pytestmark = [pytest.mark.integration, pytest.mark.docker, pytest.mark.asyncio(loop_scope="session")]

Fault = Callable[[FaultyMember], AbstractContextManager[object]]
GOOD = "repo-1"  # the first repository, with which nothing is wrong
REGISTRY, HUB, PODS = "Docker registry", "JupyterHub API", "Pod quota"
REGISTRY_SILENT = r"The registry of this federation's images does not answer\. Please try again soon\."
NOT_PUSHED = r"The image was built, but the registry of images did not take it\."
ENGINE_GONE = r"The container engine of this member does not answer any more\."
BUILD_FAILED = {"build_count failure": 1, "build_time failure": 1}
BUILT = {"build_count success": 1, "build_time success": 1}
LAUNCH_FAILED = {"launch_count failure": 1, "launch_time failure -1": 1}
LAUNCHED = {"launch_count success": 1, "launch_time success 0": 1}
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
CONFLICT = BROKEN.replace(b"500 Internal Server Error", b"409 Conflict")


@dataclass(frozen=True, kw_only=True)
class Case:
    """`says` matches the whole last message, `code` is its status code. `front_door` is what that makes of it.

    The repository is GOOD if `known`, else a new one whose Dockerfile ends with `steps`. The fault begins at
    the message `at`, else before the launch. `unwell` are the lines of /health that fail meanwhile.
    """

    says: str
    code: int | None = 500
    front_door: tuple[Ending, str] = (Ending.RETRYABLE, "member_error")
    counts: dict[str, int] = field(default_factory=dict)
    fault: Fault = lambda member: nullcontext()
    at: str | None = None
    steps: tuple[str, ...] = ()
    files: dict[str, int] = field(default_factory=dict)  # names, with sizes in bytes
    known: bool = False
    ref: str | None = None
    unwell: tuple[str, ...] = ()


def down(*ways: str) -> Fault:
    """Connections are cut, and refused until the end of the fault."""

    @contextmanager
    def fault(member: FaultyMember) -> Iterator[None]:
        proxies: list[FaultProxy] = [getattr(member.ways, way) for way in ways]
        for proxy in proxies:
            proxy.cut()
        yield
        for proxy in proxies:
            proxy.refuse = False

    return fault


def silent(way: str) -> Fault:
    """Everything is taken, and nothing is said."""

    @contextmanager
    def fault(member: FaultyMember) -> Iterator[None]:
        proxy: FaultProxy = getattr(member.ways, way)
        proxy.silent = True
        yield
        proxy.silent = False

    return fault


def answering(way: str, answer: bytes, request: str = "") -> Fault:
    """Requests that begin like this get this answer, and the end of the connection."""

    @contextmanager
    def fault(member: FaultyMember) -> Iterator[None]:
        proxy: FaultProxy = getattr(member.ways, way)
        proxy.instead = (request, answer)
        yield
        proxy.instead = None

    return fault


@contextmanager
def only_in_the_registry_and_that_is_down(member: FaultyMember) -> Iterator[None]:
    member.forget_image(GOOD)
    with down("push")(member):
        yield


REGISTRYS = (Ending.RETRYABLE, "registry")
GIT_HOSTS = (Ending.RETRYABLE, "git_host")

CASES = {
    "registry down": Case(
        fault=down("lookup"), says=REGISTRY_SILENT, front_door=REGISTRYS, unwell=(REGISTRY,)
    ),
    "registry silent": Case(
        fault=silent("lookup"), says=REGISTRY_SILENT, front_door=REGISTRYS, unwell=(REGISTRY,)
    ),
    "registry resets": Case(
        fault=answering("lookup", b""), says=REGISTRY_SILENT, front_door=REGISTRYS, unwell=(REGISTRY,)
    ),
    "registry answers 500": Case(
        fault=answering("lookup", BROKEN), says=REGISTRY_SILENT, front_door=REGISTRYS, unwell=(REGISTRY,)
    ),
    "registry goes before the push": Case(
        fault=down("push"),
        at="RUN echo built",
        steps=("RUN echo built",),
        says=NOT_PUSHED,
        front_door=REGISTRYS,
        counts=BUILD_FAILED,
    ),
    "registry goes in the push": Case(
        fault=answering("push", b"", r"PUT \S+/manifests/"),
        says=NOT_PUSHED,
        front_door=REGISTRYS,
        counts=BUILD_FAILED,
    ),
    "registry goes before the pull": Case(
        fault=only_in_the_registry_and_that_is_down,
        known=True,
        says=r"Image \S+ could not be pulled: Get .*/v2/.*",
        front_door=REGISTRYS,
        counts=LAUNCH_FAILED,
    ),
    "engine down before a build": Case(
        fault=down("engine"), says=ENGINE_GONE, counts=BUILD_FAILED, unwell=(REGISTRY,)
    ),
    "engine down before a launch": Case(
        fault=down("engine"),
        known=True,
        says=r"The container engine of this member does not answer\. Please try again soon\.",
        front_door=(Ending.RETRYABLE, "launch"),
        counts=LAUNCH_FAILED,
        unwell=(REGISTRY,),
    ),
    "engine stopped in mid-build": Case(
        fault=down("engine"),
        at="RUN sleep 2",
        steps=("RUN sleep 2",),
        says=ENGINE_GONE,
        counts=BUILD_FAILED,
        unwell=(REGISTRY,),
    ),
    "1 GB printed": Case(
        steps=("RUN yes this-line-is-printed-for-ever | head -c 1000000000",),
        says=r"The build printed more than 0\.512 MB and was stopped\.",
        code=None,
        front_door=(Ending.FINAL, "repository"),
        counts=BUILD_FAILED,
    ),
    "a fork bomb": Case(
        steps=("RUN sleep 1; i=0; while test $i -lt 2000; do sleep {nap} & i=$((i+1)); done; wait",),
        says=r"(?s)Error during build: Command .* returned non-zero exit status 1\..*",
        code=None,
        front_door=(Ending.FINAL, "repository"),
        counts=BUILD_FAILED,
    ),
    "a large repository": Case(
        files={"data": 50_000_000},
        says=r"The repository is too large: more than 0\.021 GB were fetched, and the build was stopped\.",
        code=None,
        front_door=(Ending.FINAL, "repository"),
        counts=BUILD_FAILED,
    ),
    "hub down": Case(fault=down("hub"), says="JupyterHub does not answer", unwell=(HUB, PODS)),
    "hub silent": Case(
        fault=silent("hub"),
        known=True,
        says="JupyterHub does not answer",
        front_door=(Ending.RETRYABLE, "launch"),
        counts=LAUNCH_FAILED,
        unwell=(HUB, PODS),
    ),
    "hub answers 500 to a new user": Case(
        fault=answering("hub", BROKEN, "POST"),
        known=True,
        says=r"Failed to create temporary user for \S+",
        front_door=(Ending.RETRYABLE, "launch"),
        counts=LAUNCH_FAILED,
    ),
    "hub answers 409 to a new user": Case(
        fault=answering("hub", CONFLICT, "POST"),
        known=True,
        says=r"Failed to create temporary user for \S+",
        front_door=(Ending.RETRYABLE, "launch"),
        counts=LAUNCH_FAILED,
    ),
    "hub answers 500 to a new server": Case(
        fault=answering("hub", BROKEN, r"POST \S+/servers/"),
        known=True,
        says=r"Failed to launch image \S+",
        front_door=(Ending.RETRYABLE, "launch"),
        counts=LAUNCH_FAILED,
    ),
    "hub goes in mid-launch": Case(
        fault=down("hub"),
        known=True,
        at="Server requested",
        says=r"Image \S+ for user \S+ failed to launch",
        front_door=(Ending.RETRYABLE, "launch"),
        counts=LAUNCH_FAILED,
        unwell=(HUB, PODS),
    ),
    "an image without Jupyter": Case(
        steps=("ENV PATH=/nowhere",),
        says=r"Spawn failed: .* ended while starting \(status 127\)\. This image has no Jupyter: none of .*",
        front_door=(Ending.FINAL, "repository"),
        counts=BUILT | LAUNCH_FAILED,
    ),
    "git server silent when asked for a ref": Case(
        fault=silent("git"),
        ref="main",
        says=r"Error resolving ref for git:\S+/main: .*: no answer within 3 seconds",
        code=None,
        front_door=(Ending.RETRYABLE, "resolve"),
    ),
    "git server gone in the clone": Case(
        fault=down("git"),
        says=r"The repository's server could not be reached\.",
        front_door=GIT_HOSTS,
        counts=BUILD_FAILED,
    ),
    "registry, hub and engine down at once": Case(
        fault=down("lookup", "hub", "engine"),
        says=REGISTRY_SILENT,
        front_door=REGISTRYS,
        unwell=(REGISTRY, HUB, PODS),
    ),
}


def check(event: Event, case: Case, *, built: bool) -> None:
    """The last event is as the case says, and the front door understands it so."""
    expected = {"phase", "message"} | ({"status_code"} if case.code else set())
    assert (event["phase"], set(event), event.get("status_code")) == ("failed", expected, case.code), event
    assert re.fullmatch(case.says + "\n", event["message"], re.DOTALL), event
    verdict = judge(event, built=built)
    assert verdict is not None
    assert (verdict.ending, verdict.cause) == case.front_door


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def good(member: FaultyMember) -> str:
    """The spec of the repository GOOD, built and launched."""
    assert member.repository() == GOOD
    spec = member.spec(GOOD)
    await member.launch_and_end(spec)
    return spec


@pytest.mark.parametrize("name", CASES)
async def test_a_fault_is_told_counted_and_over(member: FaultyMember, good: str, name: str) -> None:
    case = CASES[name]
    repository = GOOD if case.known else new_repository(member, case)
    spec = member.spec(repository, case.ref)
    before = await member.counted(repository)
    fault, phases = case.fault(member), set()

    def then(event: Event) -> None:
        phases.add(phase_of(event))
        if case.at is not None and case.at in event["message"] and case.at not in phases:
            phases.add(case.at)
            fault.__enter__()

    if case.at is None:
        fault.__enter__()
    try:
        last = await member.launch(spec, then)
        check(last, case, built=any(map(past_the_build, phases)))
        await member.until_health(*case.unwell)
    finally:
        fault.__exit__(None, None, None)
    assert await member.counted(repository) - before == case.counts
    await member.until_health()
    await member.until_nothing_is_left()
    whole = "build_count failure" in case.counts and case.code == 500
    await member.launch_and_end(spec if whole else good)
    await member.until_nothing_is_left()


def new_repository(member: FaultyMember, case: Case) -> str:
    steps = (step.replace("{nap}", member.nap) for step in case.steps)
    files = {name: os.urandom(size) for name, size in case.files.items()}
    return member.repository(*steps, files=files)


async def test_a_slow_registry_is_waited_for(member: FaultyMember, good: str) -> None:
    with silent("lookup")(member):
        launch = asyncio.create_task(member.launch(good))
        await asyncio.sleep(0.5)
        assert not launch.done()
    await member.end(await launch)


async def test_an_image_that_is_here_needs_no_registry(member: FaultyMember, good: str) -> None:
    with down("lookup", "push")(member):
        await member.launch_and_end(good)
        await member.until_health(REGISTRY)
    await member.until_health()


async def test_a_registry_whose_disk_is_full_is_the_members_fault(member: FaultyMember) -> None:
    """Its image's layers are there: the engine tries for long with a layer, and once with what comes after."""
    repository = member.repository()
    await member.launch_and_end(member.spec(repository))
    member.commit(repository, "LABEL again=true")
    before = await member.counted(repository)
    filler = member.registry.folder / "data" / "filler"
    fill(filler)
    last = await member.launch(member.spec(repository))
    filler.unlink()
    check(last, Case(says=NOT_PUSHED, front_door=REGISTRYS), built=False)
    assert await member.counted(repository) - before == BUILD_FAILED
    await member.until_nothing_is_left()
    await member.launch_and_end(member.spec(repository))


def fill(file: Path) -> None:
    """Takes all that is left of a small disk."""
    with file.open("wb", buffering=0) as written, pytest.raises(OSError, match="No space left"):
        for size in (1 << 20, 1 << 12, 1):
            while True:
                try:
                    written.write(bytes(size))
                except OSError:
                    if size == 1:
                        raise
                    break


STUCK = Case(says=r"Image \S+ for user \S+ took too long to launch", front_door=(Ending.RETRYABLE, "launch"))
ASLEEP = Case(
    says=r"The build took longer than 15 seconds and was stopped\.",
    code=None,
    front_door=(Ending.FINAL, "repository"),
)
REFUSED = Case(
    says=r"The image was built, but the registry of images did not take it in time\.", front_door=REGISTRYS
)
HANGING = Case(says=r"The repository's server sent nothing for 8 seconds\.", front_door=GIT_HOSTS)


async def test_what_only_time_ends_ends_in_time(member: FaultyMember, good: str) -> None:
    """All at once: servers that never answer, a step that sleeps, a registry and a git server that hang.

    Two of the visitors leave in the middle of it.
    """
    never = 'ENTRYPOINT ["/bin/sh", "-c", "sleep 1000"]'
    stuck, stuck_alone = member.repository(never), member.repository(never)
    asleep, refused = member.repository(f"RUN sleep {member.nap}"), member.repository("RUN sleep 6")
    hanging, hanging_alone = member.repository(), member.repository()
    all_of_them = (stuck, stuck_alone, asleep, refused, hanging, hanging_alone)
    before = await member.counted(*all_of_them)
    waiting = await asyncio.gather(
        *(member.begin(member.spec(each), "Server requested") for each in (stuck, stuck_alone))
    )
    await waiting.pop().aclose()
    waiting.append(await member.begin(member.spec(asleep), f"RUN sleep {member.nap}"))
    waiting.append(await member.begin(member.spec(refused), "RUN sleep 6"))
    with silent("git")(member), answering("push", BROKEN, "P")(member):
        for each in (hanging, hanging_alone):
            waiting.append(await member.begin(member.spec(each), "Cloning"))
        await waiting.pop().aclose()
        lasts = await asyncio.gather(*map(last_of, waiting))
        await member.until_nothing_is_left()
    for last, case, built in zip(
        lasts, (STUCK, ASLEEP, REFUSED, HANGING), (True, False, False, False), strict=True
    ):
        check(last, case, built=built)
    assert await member.counted(*all_of_them) - before == {
        "build_count success": 2,
        "build_time success": 2,
        "build_count failure": 4,
        "build_time failure": 4,
        "launch_count failure": 2,
        "launch_time failure -1": 2,
    }
    await member.until_health()
    await member.launch_and_end(*(member.spec(each) for each in (refused, hanging, hanging_alone)))


async def last_of(events: AsyncIterator[Event]) -> Event:
    async with asyncio.timeout(60):
        return [event async for event in events][-1]


async def test_after_all_that_every_seat_is_there(member: FaultyMember, good: str) -> None:
    """A place that was promised to a launch and never given back would be missing now."""
    await member.launch_and_end(*[good] * SEATS)
    await member.until_nothing_is_left()
