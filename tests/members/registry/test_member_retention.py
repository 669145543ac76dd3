from hypothesis import given
from hypothesis import strategies as st
from pytest import mark

from members.core.imagename import image_name
from members.core.retention import Blob, Image, Pieces, Policy, Verdict, freed, is_built, judge, path_of
from members.core.usage import Known, LastUse

PREFIX = "r.example.org/builds/i-"
NAME = "builds/i-user-2drepo-0a1b2c"
DAY = 86400.0
NOW = 2_000 * DAY + 1.5e9
POLICY = Policy(unused_for=30 * DAY, grace=7 * DAY)
NOBODY = Known((), {}, frozenset())


def image(
    *,
    tag: str = "t",
    repository: str = NAME,
    digest: str = "sha256:a",
    used: float | None = None,
    created: float | None = None,
    size: int = 1000,
) -> Image:
    """`used` and `created` in days before now."""
    return Image(
        repository,
        tag,
        Pieces(digest, (Blob(digest, size),), None if created is None else NOW - created * DAY),
        None if used is None else LastUse(NOW - used * DAY, "gesis"),
    )


def verdicts(*images: Image, policy: Policy = POLICY, known: Known = NOBODY) -> list[tuple[bool, str]]:
    return [(v.goes, v.reason) for v in judge(images, known, policy, PREFIX, NOW)]


@mark.parametrize(
    ("one", "verdict"),
    [
        (image(used=31, created=90), (True, "last used 31 days ago on gesis")),
        (image(used=29, created=90), (False, "last used 29 days ago on gesis")),
        (image(used=31, created=2), (False, "built anew 2 days ago")),
        (image(created=38), (True, "no use recorded, created 38 days ago")),
        (image(created=36), (False, "no use recorded, created 36 days ago")),  # in its days of grace
        (image(), (False, "has neither a record of use nor a date of creation")),
        (image(created=NOW / DAY), (False, "has neither a record of use nor a date of creation")),
        (image(used=31, created=NOW / DAY), (True, "last used 31 days ago on gesis")),
        (image(used=-5), (False, "last used less than a minute ago on gesis")),  # a clock that runs ahead
    ],
)
def test_age(one: Image, verdict: tuple[bool, str]) -> None:
    assert verdicts(one) == [verdict]


def test_a_repository_that_is_pushed_to_keeps_all_its_tags() -> None:
    pushing = Known(("gesis",), {}, frozenset({NAME}))
    assert verdicts(image(used=90), image(tag="u", used=90, digest="sha256:b"), known=pushing) == [
        (False, "is being pushed to"),
        (False, "is being pushed to"),
    ]


def test_tags_of_one_digest_go_together_or_not_at_all() -> None:
    old, recent = image(tag="old", used=90), image(tag="recent", used=1)
    assert verdicts(old, recent)[0] == (False, "is the same as its tag recent, which stays")
    assert [goes for goes, _ in verdicts(old, image(tag="older", used=91))] == [True, True]
    other = image(repository="builds/i-other-2drepo-ffffff", tag="recent", used=1)
    assert verdicts(old, other)[0][0]  # the same digest in another repository is another manifest


@mark.parametrize(
    "pattern",
    ["user/repo", "user-repo", "*user-2drepo*", f"{NAME}:t", "builds/i-user*"],
)
def test_pinned_repositories_stay(pattern: str) -> None:
    name = image_name(PREFIX, "user-repo", "t").removeprefix("r.example.org/")
    pattern = pattern.replace(NAME, name.rpartition(":")[0])
    one = image(repository=name.rpartition(":")[0], used=90)
    assert verdicts(one, policy=Policy(30 * DAY, DAY, keep=("other", pattern))) == [
        (False, f"is kept by {pattern}")
    ]


def test_a_pin_by_url() -> None:
    name = image_name(PREFIX, "https://example.org/x.git", "t").removeprefix("r.example.org/")
    one = image(repository=name.rpartition(":")[0], used=90)
    assert not verdicts(one, policy=Policy(30 * DAY, DAY, keep=("https://example.org/x.git",)))[0][0]
    assert verdicts(one, policy=Policy(30 * DAY, DAY, keep=("https://example.org/y.git",)))[0][0]


def test_small_ones_stay() -> None:
    policy = Policy(30 * DAY, DAY, larger_than=5_000_000)
    small, large = image(used=90, size=5_000_000), image(used=90, size=5_000_001, digest="sha256:b")
    assert verdicts(small, large, policy=policy) == [
        (False, "is not larger than 5 MB"),
        (True, "last used 90 days ago on gesis"),
    ]


def test_what_is_freed_is_shared_with_nothing_that_stays() -> None:
    base, mine, yours = Blob("base", 500), Blob("mine", 30), Blob("yours", 7)
    one = Image("a", "1", Pieces("d1", (base, mine), None))
    two = Image("b", "1", Pieces("d2", (base, yours, yours), None))
    assert freed([Verdict(one, True, ""), Verdict(two, False, "")]) == 30
    assert freed([Verdict(one, True, ""), Verdict(two, True, "")]) == 537
    assert two.size == 507


@mark.parametrize(
    ("repository", "ours"),
    [
        (NAME, True),
        ("builds/i--0a1b2c", True),
        ("builds/i-usage", False),
        ("builds/i-some-image-name", False),
        ("builds/i-base-image", False),
        ("builds/i-x/y-0a1b2c", False),
        ("other/i-user-2drepo-0a1b2c", False),
        ("builds/user-2drepo-0a1b2c", False),
    ],
)
def test_only_what_builders_make_is_the_federations(repository: str, ours: bool) -> None:
    assert is_built(repository, PREFIX) is ours


@given(st.text(min_size=1, alphabet=st.characters(exclude_categories=("Cs",))))
def test_every_image_name_is_recognised(build_slug: str) -> None:
    name = image_name(PREFIX, build_slug, "ref").removeprefix("r.example.org/").rpartition(":")[0]
    assert is_built(name, PREFIX)


@mark.parametrize(
    ("prefix", "path"),
    [
        ("127.0.0.1:5000/binder-", "binder-"),
        ("127.0.0.1:5000/my_builds/", "my-builds/"),
        ("R.example.org/Builds/i-", "builds/i-"),
        ("127.0.0.1:5000/", ""),
        ("user/binder-", "user/binder-"),
        ("binder-", "library/binder-"),
    ],
)
def test_the_path_of_a_prefix(prefix: str, path: str) -> None:
    assert path_of(prefix) == path
