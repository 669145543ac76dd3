from hypothesis import given
from hypothesis import strategies as st

from members.providers.memory import Memory


def test_the_least_recently_used_gives_way() -> None:
    memory: Memory[int] = Memory(2, 10.0, lambda: 0.0)
    memory.put("a", 1)
    memory.put("b", 2)
    assert memory.get("a") == 1
    memory.put("c", 3)
    assert (memory.get("a"), memory.get("b"), memory.get("c")) == (1, None, 3)


def test_a_value_is_believed_for_its_lifetime() -> None:
    now = 100.0
    memory: Memory[int] = Memory(2, 10.0, lambda: now)
    memory.put("a", 1)
    now = 109.9
    assert memory.get("a") == 1
    now = 110.0
    assert memory.get("a") is None


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abcdef"))), st.integers(1, 4))
def test_it_never_holds_more_than_its_size_and_always_the_last(
    steps: list[tuple[bool, str]], size: int
) -> None:
    memory: Memory[str] = Memory(size, 10.0, lambda: 0.0)
    for is_put, key in steps:
        if is_put:
            memory.put(key, key)
            assert memory.get(key) == key
        else:
            assert memory.get(key) in (None, key)
        assert sum(memory.get(key) is not None for key in "abcdef") <= size
