from __future__ import annotations

import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core.errors import LaunchError
from federation.core.launchkey import parse_launch, parse_spec, shown, take_member

GIT = quote("https://Git.Example.org/Team/Repo.git", safe="")


def key(path: str) -> str:
    return parse_launch(f"/build/{path}").repo_key


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("gh/binder-examples/requirements/HEAD", "/build/gh/binder-examples/requirements"),
        (
            "gh/Binder-Examples/Requirements.git/feature/with/slashes",
            "/build/gh/binder-examples/requirements",
        ),
        ("gh/binder-examples/requirements/HEAD/", "/build/gh/binder-examples/requirements"),
        ("gh/binder%2Dexamples/requirements/v1%2Fx", "/build/gh/binder-examples/requirements"),
        ("gist/User/0123abc", "/build/gist/user/0123abc"),
        ("gist/User/0123abc/deadbeef", "/build/gist/user/0123abc"),
        ("zenodo/10.5281/zenodo.3242074", "/build/zenodo/10.5281/zenodo.3242074"),
        ("zenodo/10.5281/zenodo.3242074/", "/build/zenodo/10.5281/zenodo.3242074"),
    ],
)
def test_the_key_drops_the_ref_and_folds_the_repository(path: str, expected: str) -> None:
    assert key(path) == expected


def test_case_is_kept_where_the_host_minds_it() -> None:
    assert key(f"git/{GIT}/main") == key(f"git/{GIT.removesuffix('.git')}/other/ref")
    assert key(f"git/{GIT}/main") != key(f"git/{GIT.replace('Team', 'team')}/main")
    assert key(f"git/{GIT}/main") == key(f"git/{GIT.replace('Git.Example', 'git.example')}/main")
    github = quote("https://github.com/A/B", safe="")
    assert key(f"git/{github}/x") == key(f"git/{github.lower().replace('%2f', '%2F')}/y")


def test_gitlab_keeps_groups_together_and_branches_apart_from_them() -> None:
    assert key("gl/mosaik%2Fexamples%2Ftutorial/feature/x") == key("gl/mosaik%2Fexamples%2Ftutorial/HEAD")


def test_the_spec_travels_on_as_it_came() -> None:
    launch = parse_launch(f"/build/git/{GIT}/a%20b/", "urlpath=x%2Fy&build_token=z")
    assert launch.path == f"/build/git/{GIT}/a%20b/"
    assert launch.query == "urlpath=x%2Fy&build_token=z"


def test_bytes_outside_ascii_travel_percent_encoded() -> None:
    assert parse_launch("/build/gh/a/b/ä").spec == "a/b/%C3%A4"
    with pytest.raises(LaunchError, match="UTF-8"):
        parse_launch("/build/gh/a/b/\udcff")


@pytest.mark.parametrize(
    ("query", "left", "prefer"),
    [
        ("", "", None),
        ("member=gesis", "", "gesis"),
        ("a=1&member=gesis&b=%20", "a=1&b=%20", "gesis"),
        ("m%65mber=gesis&&x", "&x", "gesis"),
        ("member=", "", None),
        ("remember=x", "remember=x", None),
        ("member=a&member=b%2Fc", "", "b/c"),
    ],
)
def test_the_preferred_member_is_taken_out_of_the_query(query: str, left: str, prefer: str | None) -> None:
    assert take_member(query) == (left, prefer)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/build/", "asked for as"),
        ("/build/gh", "asked for as"),
        ("/build/gh/", "asked for as"),
        ("/build/nope/x/y", "No provider found for prefix nope"),
        ("/build/gh/user/repo", "written <user>/<repository>/<ref>"),
        ("/build/gh/user//HEAD", "written"),
        ("/build/gist/user", "written"),
        ("/build/git/https://example.org/x/HEAD", "percent-encoded"),
        ("/build/git/nonsense/HEAD", "percent-encoded"),
        ("/build/git/http%3A%2F%2F%5Bbad/HEAD", "no usable repository URL"),
        ("/build/gl/ns%2Frepo", "written"),
        ("/build/gh/../../admin/x", r"\. or \.\."),
        ("/build/gh/a/b/%2e%2e/c", r"\. or \.\."),
        ("/build/gh/a/b/%252e%252e/c", r"\. or \.\."),
        ("/build/gh/a/b/x%2F..%2Fy", r"\. or \.\."),
        ("/build/gh/a/b/%00", "control"),
        ("/build/gh/a/b/%2500", "control"),
        ("/build/gh/a/b/x\ny", "control"),
        ("/build/gh/a/b/%0d%0aHost:", "control"),
        ("/build/gh/a/b/..%5c", "backslash"),
        ("/build/gh/a/b/%", "starts no percent-encoding"),
        ("/build/gh/a/b/%zz", "starts no percent-encoding"),
        ("/build/gh/a/b/%ff", "UTF-8"),
        ("/build/gh/a/b/" + "x" * 3000, "too long: 3004 characters, at most 2048"),
    ],
)
def test_a_malformed_launch_is_refused_in_words(path: str, words: str) -> None:
    with pytest.raises(LaunchError, match=words):
        parse_launch(path)


def test_an_endless_query_is_refused() -> None:
    with pytest.raises(LaunchError, match="query is too long"):
        parse_launch("/build/gh/a/b/c", "x" * 5000)


@given(st.text(max_size=80))
def test_any_text_is_a_launch_or_a_clear_refusal(text: str) -> None:
    try:
        launch = parse_launch(f"/build/gh/{text}")
    except LaunchError as error:
        assert error.message
        return
    assert launch.spec.isascii() and launch.spec.isprintable() and " " not in launch.spec
    assert launch.repo_key.startswith("/build/gh/")
    assert parse_launch(launch.path) == launch


@given(st.text("abcXYZ019._-", min_size=1, max_size=20), st.text("abc/XYZ.-", min_size=1, max_size=20))
def test_no_ref_changes_the_key(name: str, ref: str) -> None:
    if name.strip(".") and ref.strip("/") and not {".", ".."} & set(ref.split("/")):
        assert key(f"gh/user/{name}/{ref}") == key(f"gh/USER/{name}/HEAD")


def test_a_bare_spec_is_read_like_its_launch() -> None:
    for text in ("gh/a/b/HEAD", "/v2/gh/a/b/HEAD", "/build/gh/a/b/HEAD", " gh/a/b/HEAD "):
        assert parse_spec(text).repo_key == "/build/gh/a/b"


def test_credentials_in_a_repository_url_are_not_shown() -> None:
    spec = quote("https://user:secret@example.org/x", safe="")
    assert "secret" not in shown(spec) and "example.org/x" in shown(spec)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https%3A%2F%2Fuser%3Apa%40ss%40example.org%2Fx/HEAD", "https://example.org/x/HEAD"),
        ("https://example.org/x?private_token=abc&ref=1", "https://example.org/x?private_token=…&ref=1"),
        (
            "cannot read 'https://a:b@example.org/x?access_token=abc'",
            "cannot read 'https://example.org/x?access_token=…'",
        ),
        ("git@github.com:user/repo/HEAD", "git@github.com:user/repo/HEAD"),
        ("user/monkey=1/HEAD", "user/monkey=1/HEAD"),
    ],
)
def test_what_is_shown_holds_no_secret_and_all_the_rest(text: str, told: str) -> None:
    assert shown(text) == told


def test_hiding_takes_no_time_to_speak_of() -> None:
    begun = time.monotonic()
    for text in ("?" * 4000, "?k" * 2000, "//" * 2000, "//" + "@" * 4000, "&token" * 700):
        shown(text)
    assert time.monotonic() - begun < 2
