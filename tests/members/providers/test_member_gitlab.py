from collections.abc import AsyncIterator

from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from member_fakes import SHA
from pydantic import SecretStr
from pytest import fixture, mark, raises
from sites import Site, site, tools

from members.core.model import ResolveError, SpecError
from members.providers.gitlab import GitLab, GitLabConfig, build_slug

COMMITS = "/projects/gitlab-org%2Fgitlab-foss/repository/commits"


@fixture
async def api() -> AsyncIterator[Site]:
    async with site() as made:
        for ref in ("HEAD", "feature%2Fx"):
            made.answers[f"{COMMITS}/{ref}"] = {"id": SHA}
        yield made


@fixture
async def gitlab(api: Site) -> AsyncIterator[GitLab]:
    async with tools() as made:
        yield GitLab(GitLabConfig(api_url=api.url), made)


@mark.parametrize(
    "spec",
    [
        "gitlab-org%2Fgitlab-foss/HEAD",
        "gitlab-org%2Fgitlab-foss.git/HEAD",
        "gitlab-org%2Fgitlab-foss/feature%2Fx",
        "gitlab-org%2Fgitlab-foss/feature/x",
    ],
)
async def test_a_ref_becomes_its_commit(gitlab: GitLab, api: Site, spec: str) -> None:
    found = await gitlab.resolve(spec)
    assert found is not None
    assert found.repo_url == "https://gitlab.com/gitlab-org/gitlab-foss.git"
    assert found.ref == SHA
    assert found.ref_url == f"https://gitlab.com/gitlab-org/gitlab-foss/tree/{SHA}"
    assert found.resolved_spec == f"gitlab-org%2Fgitlab-foss/{SHA}"
    assert found.build_slug == "gitlab_-org-gitlab_-foss"
    assert found.is_git
    assert api.asked[0].headers["User-Agent"] == "BinderHub"


async def test_an_unknown_ref_or_project_is_none(gitlab: GitLab) -> None:
    assert await gitlab.resolve("gitlab-org%2Fgitlab-foss/nosuch") is None
    assert await gitlab.resolve("a%2Fb%2Fc/HEAD") is None


async def test_tokens_are_sent_and_never_shown(api: Site) -> None:
    config = GitLabConfig(api_url=api.url, access_token=SecretStr("sesame"), private_token=SecretStr("a&b=c"))
    async with tools() as made:
        with raises(ResolveError) as caught:
            api.answers[f"{COMMITS}/HEAD?access_token=sesame&private_token=a%26b%3Dc"] = web.Response(
                status=401
            )
            await GitLab(config, made).resolve("gitlab-org%2Fgitlab-foss/HEAD")
    assert dict(api.asked[0].query) == {"access_token": "sesame", "private_token": "a&b=c"}
    assert str(caught.value) == "HTTP 401: Unauthorized"
    assert "sesame" not in repr(config)


@mark.parametrize("body", [{}, [], {"id": "x"}, {"id": 5}, b"<html>"])
async def test_answers_that_make_no_sense(gitlab: GitLab, api: Site, body: bytes) -> None:
    api.answers[f"{COMMITS}/HEAD"] = body
    with raises(ResolveError, match="GitLab's answer"):
        await gitlab.resolve("gitlab-org%2Fgitlab-foss/HEAD")


@mark.parametrize(
    "spec",
    [
        "",
        "x",
        "x/HEAD",
        "a%2Fb",
        "a%2Fb/",
        "a%2F..%2Fb/HEAD",
        "a%2F%2Fb/HEAD",
        "a%2Fb%3Fc/HEAD",
        "-a%2Fb/HEAD",
        "a%2Fb/-x",
    ],
)
async def test_malformed_specs_reach_nobody(gitlab: GitLab, api: Site, spec: str) -> None:
    with raises(SpecError):
        await gitlab.resolve(spec)
    assert api.asked == []


async def test_a_site_of_ones_own() -> None:
    async with tools() as made:
        own = GitLab(GitLabConfig(hostname="git.example.org"), made)
    assert own.display()["detect"] == {"regex": "^(https?://git.example.org/)?(?<repo>.*[^/])/?"}


PARTS = st.lists(st.text("ab-_.", min_size=1, max_size=4), min_size=2, max_size=4).map("/".join)


@given(PARTS, PARTS)
def test_no_two_projects_share_their_images(one: str, other: str) -> None:
    """True of names without `_`, which is the mark; upstream's slugs do not tell those with it apart."""
    one, other = one.replace("_", ""), other.replace("_", "")
    assert (build_slug(one) == build_slug(other)) == (one == other)
