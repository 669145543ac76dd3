from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core.launchkey import parse_launch
from federation.core.model import Launch
from federation.core.versions import (
    Lookup,
    lookup,
    pinned,
    tells_of_holding,
    tells_of_missing,
    told_commit,
    told_image,
    told_request,
    version_key,
)

ONE, OTHER = "a" * 40, "b" * 40
URL = quote("https://git.example.org/Team/repo.git", safe="")
GITLAB = quote("group/sub/project", safe="")

commits = st.text("0123456789abcdef", min_size=40, max_size=40)
words = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,10}", fullmatch=True).filter(
    lambda word: ".git" not in word
)
refs = st.lists(words, min_size=1, max_size=3).map("/".join)


def launch(path: str) -> Launch:
    return parse_launch(f"/build/{path}")


def test_three_spellings_of_one_commit_are_one_version() -> None:
    spelled = [launch("gh/o/r/HEAD"), launch("gh/o/r/main"), launch(f"gh/O/R.git/{ONE}/")]
    assert len({version_key(one, ONE) for one in spelled}) == 1
    assert version_key(spelled[2]) == version_key(spelled[0], ONE)
    assert version_key(spelled[0]) != version_key(spelled[1])


@given(words, words, refs, commits, commits)
def test_a_version_is_the_repository_and_the_commit(
    user: str, repo: str, ref: str, one: str, two: str
) -> None:
    spelled = launch(f"gh/{user}/{repo}/{ref}")
    again = launch(f"gh/{user.upper()}/{repo}/{one}")
    assert version_key(spelled, one) == version_key(again)
    assert (version_key(spelled, one) == version_key(spelled, two)) is (one == two)
    assert version_key(spelled, one) != version_key(launch(f"gh/{user}x/{repo}/{ref}"), one)
    assert version_key(spelled, one) != version_key(spelled)


@given(words, words, refs)
def test_how_a_ref_is_encoded_makes_no_difference(user: str, repo: str, ref: str) -> None:
    plain, encoded = launch(f"gh/{user}/{repo}/{ref}"), launch(f"gh/{user}/{repo}/{quote(ref, safe='')}/")
    assert version_key(plain) == version_key(encoded)
    assert lookup(plain) == lookup(encoded)


def test_a_gist_without_a_ref_is_its_newest_version() -> None:
    keys = {version_key(launch(f"gist/user/0123abc{ref}")) for ref in ("", "/", "/HEAD", "/master", "/main")}
    assert len(keys) == 1


def test_what_has_no_refs_is_its_own_version() -> None:
    doi = launch("zenodo/10.5281/zenodo.3242074")
    assert version_key(doi) == doi.repo_key
    assert pinned(doi) is None and lookup(doi) is None
    assert told_commit(doi, {"phase": "built", "imageName": f"x:{ONE}"}) is None


@pytest.mark.parametrize(
    ("path", "commit"),
    [
        (f"gh/o/r/{ONE}", ONE),
        (f"gh/o/r/{ONE}/", ONE),
        (f"gl/{GITLAB}/{ONE}", ONE),
        (f"git/{URL}/{ONE}", ONE),
        (f"gist/user/0123abc/{ONE}", ONE),
        (f"gh/o/r/{ONE[:7]}", None),
        (f"gh/o/r/{ONE}a", None),
        (f"gh/o/r/{ONE.upper()}", None),
    ],
)
def test_a_full_commit_means_itself(path: str, commit: str | None) -> None:
    assert pinned(launch(path)) == commit
    assert commit is None or lookup(launch(path)) is None


@pytest.mark.parametrize(
    ("path", "url", "first"),
    [
        ("gh/O/r.git/HEAD", "https://github.com/O/r", "HEAD"),
        ("gh/o/.github/v1", "https://github.com/o/.github", "v1"),
        (f"gl/{GITLAB}/feature/x", "https://gitlab.com/group/sub/project.git", "feature/x"),
        ("gist/user/0123abc", "https://gist.github.com/0123abc.git", "HEAD"),
        (f"git/{URL}/v%201", None, ""),
        (f"git/{URL}/v1", "https://git.example.org/Team/repo.git", "v1"),
        ("gist/user/0123abc/branch", None, ""),
        (f"git/{quote('git@example.org:a/b', safe='')}/HEAD", None, ""),
        ("gh/-o/r/HEAD", None, ""),
        ("gh/o%2Fx/r%20y/HEAD", None, ""),
        ("gl/project/HEAD", None, ""),
    ],
)
def test_what_git_can_be_asked(path: str, url: str | None, first: str) -> None:
    asked = lookup(launch(path))
    assert (asked and (asked.url, asked.names[0])) == (url and (url, first))


@pytest.mark.parametrize(
    "ref", ["--upload-pack=x", "a..b", "a*", "a?", "[a]", "a~1", "a^", "a:b", "é" * 300, "%20"]
)
def test_no_ref_is_asked_for_that_git_could_take_for_more_than_a_name(ref: str) -> None:
    assert lookup(launch(f"gh/o/r/{quote(ref, safe='%')}")) is None


def test_tag_objects_are_looked_through_where_members_do_so() -> None:
    assert lookup(launch("gh/o/r/v1")) == Lookup(
        "https://github.com/o/r", ("v1", "refs/heads/v1", "refs/tags/v1^{}", "refs/tags/v1", "refs/v1")
    )
    plain = lookup(launch(f"git/{URL}/v1"))
    assert plain is not None and plain.names == ("v1", "refs/heads/v1", "refs/tags/v1", "refs/v1")


@pytest.mark.parametrize(
    ("path", "event", "commit"),
    [
        ("gh/O/r/HEAD", {"phase": "built", "imageName": f"registry:5000/i-o-2dr-1:{ONE}"}, ONE),
        ("gh/o/r/HEAD", {"phase": "ready", "image": f"i:{ONE}", "url": "http://h/"}, ONE),
        ("gh/o/r/HEAD", {"phase": "ready", "imageName": f"i:{ONE}"}, ONE),
        ("gh/O/R/HEAD", {"phase": "ready", "binder_persistent_request": f"v2/gh/o/r/{ONE}"}, ONE),
        (
            "gh/o/r/HEAD",
            {"phase": "READY", "image": f"i:{OTHER}", "binder_persistent_request": f"v2/gh/o/r/{ONE}"},
            ONE,
        ),
        (f"gl/{GITLAB}/x", {"phase": "ready", "binder_persistent_request": f"v2/gl/{GITLAB}/{ONE}"}, ONE),
        (f"git/{URL}/x", {"phase": "ready", "binder_persistent_request": f"v2/git/{URL}/{ONE}"}, ONE),
        ("gist/u/1a", {"phase": "ready", "binder_persistent_request": f"v2/gist/u/1a/{ONE}"}, ONE),
        ("gh/o/r/HEAD", {"phase": "ready", "binder_persistent_request": f"v2/gh/x/r/{ONE}"}, None),
        ("gh/o/r/HEAD", {"phase": "ready", "binder_persistent_request": "v2/gh/o/r/main"}, None),
        ("gh/o/r/HEAD", {"phase": "ready", "binder_persistent_request": "garbage"}, None),
        ("gh/o/r/HEAD", {"phase": "ready", "binder_persistent_request": 7, "image": ["x"]}, None),
        ("gh/o/r/HEAD", {"phase": "built", "imageName": "image:1"}, None),
        ("gh/o/r/HEAD", {"phase": "building", "imageName": f"i:{ONE}"}, None),
        ("gh/o/r/HEAD", {"message": "no phase"}, None),
    ],
)
def test_members_tell_the_commit(path: str, event: dict[str, object], commit: str | None) -> None:
    assert told_commit(launch(path), event) == commit


def test_the_image_and_the_permanent_request_are_read_as_told() -> None:
    event = {"phase": "ready", "image": "i:1", "binder_persistent_request": f"v2/gh/O/r/{ONE}"}
    request = told_request(event)
    assert request is not None and (request.provider, request.spec) == ("gh", f"O/r/{ONE}")
    assert told_image(event) == "i:1"
    assert told_image({"phase": "launching", "image": "i:1"}) is None


@pytest.mark.parametrize(
    ("event", "holds", "lacks"),
    [
        ({"phase": "built", "message": "Built image, launching...\n"}, True, False),
        ({"phase": "built", "message": "Found built image, launching...\n"}, False, False),
        ({"phase": "ready", "url": "http://h/"}, True, False),
        ({"phase": "launching", "message": "Launching server...\n"}, False, False),
        ({"phase": "launching", "message": '[Warning] Failed to pull image "x": not found\n'}, False, True),
        ({"phase": "failed", "message": "Spawn failed: Image x:1 is not on this member\n"}, False, True),
        ({"phase": "failed", "message": "Image x:1 could not be pulled: manifest unknown\n"}, False, True),
        ({"phase": "failed", "message": "Image x:1 for user v took too long to launch\n"}, False, False),
        ({"phase": "building", "message": "manifest unknown"}, False, False),
        ({"phase": "failed"}, False, False),
    ],
)
def test_members_tell_whether_they_hold_the_image(event: dict[str, object], holds: bool, lacks: bool) -> None:
    assert (tells_of_holding(event), tells_of_missing(event)) == (holds, lacks)
