import asyncio
import json

from hypothesis import given
from hypothesis import strategies as st
from pytest import mark, raises

from members.core import usage
from members.core.facts import BuildEnded, BuildStarted, Fact, LaunchEnded, LaunchStatus, Note
from members.core.model import RegistryDown, RegistryState
from members.core.usage import LastUse, Usage
from members.service.usage import Recorder

IMAGE = "r.example.org/binder-x-0a1b2c:1"
KEY = "binder-x-0a1b2c:1"
HOUR = 3600.0

times = st.dictionaries(st.text(max_size=20), st.integers(0, 2**40 - 1).map(float), max_size=5)


@given(st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True), times, times)
def test_a_record_can_be_read_back(member: str, used: dict[str, float], pushing: dict[str, float]) -> None:
    record = Usage(member, 5.0, used, pushing)
    assert usage.from_json(usage.to_json(record)) == record


@mark.parametrize(
    "text",
    ["", "no json", "[]", "{}", '{"schema": 2, "member": "a", "written": 1, "used": {}, "pushing": {}}']
    + [
        json.dumps({"schema": 1, "member": "a", "written": 1, "used": {}, "pushing": {}} | wrong)
        for wrong in (
            {"member": 3},
            {"member": "a\x1b[2J"},
            {"used": {"a": float("inf")}},
            {"used": {"a": -1}},
            {"written": None},
            {"written": "x"},
            {"used": []},
            {"pushing": {"a": "b"}},
            {"used": {"a": True}},
        )
    ],
)
def test_what_cannot_be_read_is_an_error(text: str) -> None:
    with raises(ValueError):
        usage.from_json(text)


def test_a_long_record_forgets_the_longest_unused() -> None:
    record = Usage("a", used={str(number): float(number) for number in range(20_001)})
    kept = usage.from_json(usage.to_json(record)).used
    assert "0" not in kept
    assert "1" in kept


def test_the_last_use_is_the_last_anywhere() -> None:
    records = [Usage("b", used={KEY: 7.0}), Usage("a", used={KEY: 9.0, "y:1": 1.0})]
    known = usage.together(records, now=10.0)
    assert known.last_use == {KEY: LastUse(9.0, "a"), "y:1": LastUse(1.0, "a")}
    assert known.members == ("a", "b")


def test_a_push_blocks_its_repository_and_not_for_ever() -> None:
    record = usage.push_started(Usage("a"), IMAGE, 1000.0)
    assert usage.together([record], now=1000.0 + 5 * HOUR).pushing == {"binder-x-0a1b2c"}
    assert usage.together([record], now=1000.0 + 7 * HOUR).pushing == frozenset()
    assert usage.together([usage.push_ended(record, IMAGE)], now=1001.0).pushing == frozenset()


class Kept:
    """Records in memory, which can be down."""

    def __init__(self, **records: Usage) -> None:
        self.records = dict(records)
        self.writes = 0
        self.down = False
        self.written = asyncio.Event()

    async def record(self, tag: str) -> Usage | None:
        self._fail()
        return self.records.get(tag)

    async def write(self, tag: str, record: Usage) -> None:
        self._fail()
        self.writes += 1
        self.records[tag] = record
        self.written.set()

    def _fail(self) -> None:
        if self.down:
            raise RegistryDown("it is gone", RegistryState.UNREACHABLE)


def recorder(kept: Kept, told: list[Fact], *, interval: float = 60.0, soon: float = 60.0) -> Recorder:
    made = Recorder(
        kept, tag="a-1", member="a", tell=told.append, clock=lambda: 1000.0, interval=interval, soon=soon
    )
    made.start()
    return made


def ended(status: LaunchStatus = "success") -> LaunchEnded:
    return LaunchEnded("gh", "url", IMAGE, status, 0, 1.0)


async def test_uses_are_written_at_the_end() -> None:
    kept = Kept()
    made = recorder(kept, [])
    made.listen(ended())
    made.listen(ended())
    await asyncio.sleep(0)
    assert kept.writes == 0
    await made.close()
    assert kept.records == {"a-1": Usage("a", 1000.0, {KEY: 1000.0}, {})}
    assert kept.writes == 1


async def test_uses_are_written_after_a_while() -> None:
    kept = Kept()
    made = recorder(kept, [], interval=0.05)
    made.listen(ended())
    async with asyncio.timeout(5):
        await kept.written.wait()
    await made.close()
    assert kept.writes == 1


async def test_a_beginning_build_is_written_soon_and_is_over_at_the_end() -> None:
    kept = Kept()
    made = recorder(kept, [], soon=0.05)
    made.listen(ended())  # has time, and must not delay the build's word
    made.listen(BuildStarted("gh", "url", IMAGE))
    async with asyncio.timeout(5):
        await kept.written.wait()
    assert kept.records["a-1"].pushing == {KEY: 1000.0}
    made.listen(BuildEnded("gh", "url", IMAGE, "cancelled", 1.0))
    await made.close()
    assert kept.records["a-1"].pushing == {}


async def test_a_build_under_way_at_the_end_is_not_left_in_the_record() -> None:
    kept = Kept()
    made = recorder(kept, [])
    made.listen(BuildStarted("gh", "url", IMAGE))
    await made.close()
    assert kept.records["a-1"].pushing == {}


@mark.parametrize("status", ["failure", "pod_quota", "repo_quota", "abandoned"])
async def test_launches_without_a_session_are_no_use(status: LaunchStatus) -> None:
    kept = Kept()
    made = recorder(kept, [])
    made.listen(ended(status))
    await made.close()
    assert kept.records == {}


@mark.parametrize(("status", "used"), [("success", {KEY: 1000.0}), ("failure", {}), ("cancelled", {})])
async def test_an_image_just_built_counts_as_used(status: str, used: dict[str, float]) -> None:
    kept = Kept()
    made = recorder(kept, [])
    made.listen(BuildEnded("gh", "url", IMAGE, status, 1.0))  # type: ignore[arg-type]
    await made.close()
    assert kept.records["a-1"].used == used


async def test_an_earlier_life_is_remembered_and_its_builds_are_not() -> None:
    kept = Kept(**{"a-1": Usage("a", 1.0, {"old:1": 5.0, KEY: 7.0}, {"half:1": 5.0})})
    made = recorder(kept, [])
    made.listen(ended())
    await made.close()
    assert kept.records["a-1"] == Usage("a", 1000.0, {"old:1": 5.0, KEY: 1000.0}, {})


async def test_a_registry_that_is_down_is_told_once_and_nothing_is_lost() -> None:
    kept, told = Kept(**{"a-1": Usage("a", 1.0, {"old:1": 5.0})}), []
    kept.down = True
    made = recorder(kept, told, interval=0.02)
    made.listen(ended())
    await asyncio.sleep(0.3)
    assert [fact.message for fact in told if isinstance(fact, Note)] == [
        "The uses of images cannot be recorded for now: it is gone"
    ]
    kept.down = False
    async with asyncio.timeout(5):
        await kept.written.wait()
    await made.close()
    assert kept.records["a-1"].used == {"old:1": 5.0, KEY: 1000.0}
