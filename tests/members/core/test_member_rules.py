"""User names, quotas, units, policy and the kept log."""

from hypothesis import given
from hypothesis import strategies as st
from pytest import mark, raises

from members.core import policy, units
from members.core.buildlog import BuildLog
from members.core.model import BuildLine
from members.core.quota import Quota, QuotaExceeded, check, for_spec
from members.core.username import user_name


@mark.parametrize(
    ("url", "name"),
    [
        ("https://github.com/binder-examples/requirements", "binder-examples-requirements-x"),
        ("git://127.0.0.1:9418/req.git", "req-x"),
        ("https://host/User/Repo.GIT", "user-repo-x"),
        ("git@host:group/repo.git", "group-repo-x"),
        ("ssh://git@host/group/repo", "group-repo-x"),
        ("https://host/" + "a" * 20 + "/" + "b" * 20, "a" * 15 + "-" + "b" * 15 + "-x"),
        ("10.5281/zenodo.3242074", "10.5281-zenodo.3242074-x"),
    ],
)
def test_user_names_are_upstreams(url: str, name: str) -> None:
    assert user_name(url, "x") == name


@given(st.from_regex(r"https://[a-z]{1,9}/[A-Za-z0-9/._-]{0,99}", fullmatch=True))
def test_user_names_are_short(url: str) -> None:
    assert len(user_name(url, "12345678")) <= 32 + 1 + 8


def test_a_full_member_refuses_with_upstreams_words() -> None:
    with raises(QuotaExceeded, match=r"^Too many users on this BinderHub! Try again soon\.$") as caught:
        check(Quota(total=2), {"a:1": 1, "b:1": 1}, "c:1", "https://host/c")
    assert caught.value.status == "pod_quota"


def test_versions_of_one_repository_count_together() -> None:
    with raises(QuotaExceeded, match=r"^Too many users running https://host/a! Try again soon\.$") as caught:
        check(Quota(total=9, per_repository=2), {"a:1": 1, "a:2": 1, "b:1": 5}, "a:3", "https://host/a")
    assert caught.value.status == "repo_quota"


def test_room_is_room() -> None:
    check(Quota(total=2, per_repository=1), {"b:1": 1}, "a:1", "https://host/a")
    check(Quota(), {"a:1": 1000}, "a:1", "https://host/a")


def test_a_quota_of_zero_is_maintenance() -> None:
    with raises(QuotaExceeded):
        check(Quota(total=0), {}, "a:1", "https://host/a")


@mark.parametrize(
    ("spec", "limit"),
    [
        ("other/x/HEAD", 2),
        ("High/x/HEAD", 9),
        ("high/own/HEAD", 5),
        ("own/x/HEAD", 5),
        ("own/none/HEAD", None),
        ("x/high/HEAD", 2),
    ],
)
def test_the_limit_of_one_repository_depends_on_its_spec(spec: str, limit: int | None) -> None:
    own = ((".*own/", 5), ("own/none", None))
    assert for_spec(Quota(7, 2, 9), spec, ("^high/",), own) == Quota(7, limit, 9)


@mark.parametrize(
    ("text", "value"), [("10m", 600), ("1.5s", 1.5), ("2h", 7200), ("250ms", 0.25), ("30d", 2592000)]
)
def test_durations(text: str, value: float) -> None:
    assert units.seconds(text) == value


@mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1_350_000_000, "1.35 GB"), (10**13, "10 TB")],
)
def test_sizes_for_people(count: int, said: str) -> None:
    assert units.in_bytes(count) == said


@mark.parametrize(
    ("seconds", "said"),
    [(-9, "less than a minute"), (60, "1 minute"), (7199, "1 hour"), (86400, "1 day"), (9e6, "104 days")],
)
def test_ages_for_people(seconds: float, said: str) -> None:
    assert units.in_days(seconds) == said


@mark.parametrize("text", ["10", 10, None, "", "m", "-1s", "0s", "1w", "1 s s", "١٠m" + "x", True])
def test_other_durations_are_refused(text: object) -> None:
    with raises(ValueError, match="such as 10m"):
        units.seconds(text)


@mark.parametrize(("text", "value"), [("4G", 4 * 1024**3), (4096, 4096), ("4096", 4096), ("1.5K", 1536)])
def test_sizes(text: object, value: int) -> None:
    assert units.size(text) == value


@mark.parametrize("text", ["4X", "", None, 0, -1, "0", True, "4GB"])
def test_other_sizes_are_refused(text: object) -> None:
    with raises(ValueError, match="such as 4G"):
        units.size(text)


@mark.parametrize(
    ("spec", "pattern", "is_banned"),
    [
        ("https%3A%2F%2Fhost%2Frepo/HEAD", "https%3A%2F%2Fhost%2Frepo", True),
        ("https%3a%2f%2fh%6Fst%2Frepo/HEAD", "https%3A%2F%2Fhost%2Frepo", True),
        ("https%3A%2F%2Fother%2Frepo/HEAD", "https%3A%2F%2Fhost%2Frepo", False),
        ("https%3A%2F%2Fhost%2Frepo/HEAD", "(?!https%3A%2F%2Fhost%2F)", False),
        ("us%65r/repo/HEAD", "user/repo/", True),
    ],
)
def test_a_ban_holds_however_a_spec_is_encoded(spec: str, pattern: str, is_banned: bool) -> None:
    assert policy.banned(spec, (pattern,)) is is_banned


@mark.parametrize(
    ("spec", "pattern", "is_banned"),
    [
        ("user/repo.git/HEAD", "user/repo/", True),
        ("user/repo.git/HEAD", "user/other/", False),
        ("user/repo/main", "(?!user/repo/main)", False),  # has been judged by the name that it has
    ],
)
def test_a_ban_holds_for_a_repositorys_other_names(spec: str, pattern: str, is_banned: bool) -> None:
    assert policy.banned_by_another_name(spec, "user/repo/abc", "abc", (pattern,)) is is_banned


@mark.parametrize(
    ("spec", "banned", "allowed", "may"),
    [
        ("user/repo/HEAD", (), (), True),
        ("User/repo/HEAD", ("^user/",), (), False),
        ("user/repo/HEAD", (), ("^jupyter/",), False),
        ("JUPYTER/repo/HEAD", (), ("^jupyter/",), True),
        ("jupyter/bad/HEAD", ("jupyter/bad",), ("^jupyter/",), False),
        ("x/user/HEAD", ("user/",), (), True),
    ],
)
def test_policy(spec: str, banned: tuple[str, ...], allowed: tuple[str, ...], may: bool) -> None:
    assert policy.allowed(spec, banned, allowed) is may


def read_all(log: BuildLog) -> list[str]:
    texts: list[str] = []
    position = 0
    while True:
        lines, position = log.since(position)
        if not lines:
            return texts
        texts += [line.message for line in lines]


@given(st.lists(st.text(max_size=20), max_size=60))
def test_a_log_below_its_limit_is_complete(texts: list[str]) -> None:
    log = BuildLog(limit=1_000_000)
    for text in texts:
        log.append(BuildLine(text))
    assert read_all(log) == texts


def test_a_long_log_keeps_beginning_and_end_and_says_so() -> None:
    log = BuildLog(limit=20_000)
    for number in range(1000):
        log.append(BuildLine(f"line {number}\n"))
    texts = read_all(log)
    assert len(texts) < 120
    assert texts[0] == "line 0\n"
    assert texts[-1] == "line 999\n"
    gap = next(index for index, text in enumerate(texts) if "not kept" in text)
    shown = len(texts) - 1
    assert texts[gap] == f"[{1000 - shown} lines of this long log are not kept]\n"


def test_one_huge_line_does_not_empty_the_log() -> None:
    log = BuildLog(limit=1000)
    log.append(BuildLine("x" * 5000))
    assert read_all(log) == ["x" * 5000]


def test_a_reader_who_keeps_up_misses_nothing_of_a_long_log() -> None:
    log = BuildLog(limit=5000)
    position = 0
    seen: list[str] = []
    for number in range(500):
        log.append(BuildLine(str(number)))
        lines, position = log.since(position)
        seen += [line.message for line in lines]
    assert seen == [str(number) for number in range(500)]
