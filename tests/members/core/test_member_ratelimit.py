from hypothesis import given
from hypothesis import strategies as st
from pytest import mark

from members.core.ratelimit import Allowance, RateLimiter, key_of


def test_a_window_is_fixed_and_counts_down_below_zero() -> None:
    limiter = RateLimiter(2, 100)
    told = [limiter.spend("a", now) for now in (1000.9, 1050, 1099, 1100.9)]
    assert told == [Allowance(2, left, 1100) for left in (1, 0, -1, -2)]
    assert [one.exceeded for one in told if one] == [False, False, True, True]


def test_a_new_window_begins_after_the_end_of_the_last_one() -> None:
    limiter = RateLimiter(2, 100)
    limiter.spend("a", 1000)
    assert limiter.spend("a", 1100) == Allowance(2, 0, 1100)  # as upstream: the last second belongs to it
    assert limiter.spend("a", 1101) == Allowance(2, 1, 1201)


def test_each_key_has_a_window_of_its_own() -> None:
    limiter = RateLimiter(1, 100)
    limiter.spend("a", 1000)
    assert limiter.spend("b", 1001) == Allowance(1, 0, 1101)


def test_zero_is_no_limit() -> None:
    limiter = RateLimiter(0, 100)
    assert limiter.spend("a", 1000) is None
    assert len(limiter) == 0


def test_windows_that_are_over_are_forgotten() -> None:
    limiter = RateLimiter(1, 100)
    for number in range(1000):
        limiter.spend(str(number), 1000 + number)
    assert len(limiter) <= 102


def test_the_oldest_windows_make_room() -> None:
    limiter = RateLimiter(1, 100, most=10)
    for number in range(50):
        limiter.spend(str(number), 1000)
    assert len(limiter) == 10
    assert limiter.spend("49", 1000) == Allowance(1, -1, 1100)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), max_size=60))
def test_it_answers_as_the_plain_rule_does(steps: list[tuple[str, int]]) -> None:
    """BINDER-PROTOCOL §1.7, word for word, beside ours."""
    limiter = RateLimiter(3, 20)
    plain: dict[str, tuple[int, int]] = {}
    now = 0
    for key, pause in steps:
        now += pause
        if key not in plain or plain[key][1] < now:
            plain[key] = (3, now + 20)
        plain[key] = (plain[key][0] - 1, plain[key][1])
        assert limiter.spend(key, now) == Allowance(3, *plain[key])


@mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64"),
        ("2001:db8:0:1::9", "2001:db8:0:1::/64"),
        ("", ""),
        ("unknown", "unknown"),
    ],
)
def test_an_ipv6_visitor_is_counted_by_network(address: str, key: str) -> None:
    assert key_of(address) == key


def test_ipv4_visitors_of_a_socket_for_both_kinds_are_counted_one_by_one() -> None:
    """Their mapped addresses are all in one /64 network."""
    assert key_of("::ffff:203.0.113.9") == key_of("203.0.113.9") != key_of("::ffff:203.0.113.10")


def test_a_clock_that_was_set_back_keeps_nobody_out() -> None:
    limiter = RateLimiter(1, 60)
    assert [limiter.spend("a", now).exceeded for now in (10**6, 10**6)] == [False, True]  # type: ignore[union-attr]
    allowed = limiter.spend("a", 1000)
    assert allowed is not None and not allowed.exceeded and allowed.reset == 1060
