"""What is not git on the runtime without containers: refused in words that help, or launched if another built it."""

from pathlib import Path

from member_fakes import FakeHub, FakeProvider, FakeStore, Listener
from pytest import fixture
from workshop import Member

from members.core.imagename import image_name
from members.core.model import Isolation, LaunchRequest, Resolved
from members.core.quota import Quota
from members.service.builds import Builds
from members.service.launch import Launcher
from members.service.pipeline import Pipeline, Source
from members.service.sessions import Sessions

DOI = "10.5281/zenodo.3242074"
RECORD = Resolved(
    "zenodo", DOI, DOI, "3242074", f"https://doi.org/{DOI}", DOI, "zenodo-3242074", is_git=False
)
IMAGE = image_name("", RECORD.build_slug, RECORD.ref)


@fixture
async def store() -> FakeStore:
    return FakeStore()


@fixture
async def pipeline(tmp_path: Path, store: FakeStore) -> Pipeline:
    """A launch of a record, with the real builder."""
    provider = FakeProvider(id="zenodo", name="Zenodo")
    provider.answers = {DOI: RECORD}
    builder = Member(tmp_path, "one", Isolation.NONE).builder()
    hub, told = FakeHub(), Listener()
    sessions = Sessions(hub, Quota(), told)
    return Pipeline(
        {"zenodo": Source(provider)},
        store,
        Builds(builder, store, told, concurrent=1, timeout=60, log_limit=10**6),
        sessions,
        Launcher(store, hub, sessions, told, attempts=1),
        told,
        image_prefix="",
        new_token=lambda: "T" * 22,
    )


async def test_a_build_is_refused_with_the_name_of_the_runtime_that_can(pipeline: Pipeline) -> None:
    events = [event async for event in pipeline.run(LaunchRequest("zenodo", DOI, "127.0.0.1", "http://x/"))]
    assert events[1:] == [
        {
            "phase": "failed",
            "status_code": 501,
            "message": "10.5281/zenodo.3242074 is not a git repository, and this member's process runtime fetches"
            " nothing else. A member with the docker runtime can build it.\n",
        }
    ]


async def test_an_image_that_another_member_built_is_launched(pipeline: Pipeline, store: FakeStore) -> None:
    store.images.add(IMAGE)
    events = [event async for event in pipeline.run(LaunchRequest("zenodo", DOI, "127.0.0.1", "http://x/"))]
    assert events[-1]["phase"] == "ready"
    assert events[-1]["binder_ref_url"] == f"https://doi.org/{DOI}"
