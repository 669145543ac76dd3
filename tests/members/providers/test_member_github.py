import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from member_fakes import SHA, Listener
from pydantic import SecretStr
from pytest import fixture, mark, raises

from members.core.facts import RateLimit
from members.core.model import ResolveError, SpecError
from members.providers.base import Tools
from members.providers.github import GitHub, GitHubConfig


@dataclass
class Api:
    """GitHub's commits API: one repository, with ETags and, when asked for, trouble."""

    requests: list[web.Request] = field(default_factory=list)
    url: str = ""
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    moved_to: str | None = None  # the commit of a repository that was renamed

    async def renamed(self, request: web.Request) -> web.Response:
        if self.moved_to is None:
            return web.Response(status=301, headers={"Location": str(request.url)})
        return web.json_response({"sha": self.moved_to})

    async def commit(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        if self.status is not None:
            return web.Response(status=self.status, headers=self.headers, body=self.body)
        ref = request.match_info["ref"]
        if ref not in ("HEAD", "main", "feature/x", SHA):
            return web.json_response({"message": "No commit found for SHA"}, status=422)
        headers = {"ETag": '"e1"', "x-ratelimit-remaining": "4999"}
        if request.headers.get("If-None-Match") == '"e1"':
            return web.Response(status=304, headers=headers)
        return web.json_response({"sha": SHA}, headers=headers)


@fixture
async def api() -> AsyncIterator[Api]:
    made = Api()
    app = web.Application()
    app.router.add_get("/repos/user/Repo.x/commits/{ref:.+}", made.commit)
    app.router.add_get("/repositories/5/commits/HEAD", made.renamed)
    async with TestServer(app) as server:
        made.url = str(server.make_url("/")).rstrip("/")
        yield made


@fixture
def told() -> Listener:
    return Listener()


@fixture
async def github(api: Api, told: Listener) -> AsyncIterator[GitHub]:
    async with aiohttp.ClientSession() as http:
        yield GitHub(GitHubConfig(api_url=api.url), Tools(http, http, told))


async def test_a_ref_becomes_its_commit(github: GitHub, api: Api, told: Listener) -> None:
    found = await github.resolve("user/Repo.x/HEAD")
    assert found is not None
    assert found.repo_url == "https://github.com/user/Repo.x"
    assert found.ref == SHA
    assert found.ref_url == f"https://github.com/user/Repo.x/tree/{SHA}"
    assert found.resolved_spec == f"user/Repo.x/{SHA}"
    assert found.build_slug == "user-Repo.x"
    assert api.requests[0].headers["User-Agent"] == "BinderHub"
    assert "Authorization" not in api.requests[0].headers
    assert told.facts == [RateLimit(4999)]


async def test_git_suffix_and_slashes_in_refs(github: GitHub, api: Api) -> None:
    found = await github.resolve("user/Repo.x.git/feature/x")
    assert found is not None
    assert found.repo_url == "https://github.com/user/Repo.x"
    assert await github.resolve("user/Repo.x/feature%2Fx") is not None
    assert {request.path for request in api.requests} == {"/repos/user/Repo.x/commits/feature/x"}


async def test_a_known_answer_is_only_confirmed(github: GitHub, api: Api) -> None:
    first = await github.resolve("user/Repo.x/main")
    assert await github.resolve("user/Repo.x/main") == first
    assert [request.headers.get("If-None-Match") for request in api.requests] == [None, '"e1"']


async def test_a_token_is_sent_and_not_shown(api: Api) -> None:
    config = GitHubConfig(api_url=api.url, access_token=SecretStr("sesame"))
    async with aiohttp.ClientSession() as http:
        await GitHub(config, Tools(http, http, Listener())).resolve("user/Repo.x/HEAD")
    assert api.requests[0].headers["Authorization"] == "token sesame"
    assert "sesame" not in repr(config)


async def test_an_unknown_ref_or_repository_is_none(github: GitHub, api: Api) -> None:
    assert await github.resolve("user/Repo.x/nosuch") is None
    assert await github.resolve("user/other/HEAD") is None


async def test_a_404_is_remembered(github: GitHub, api: Api) -> None:
    api.status = 404
    assert await github.resolve("user/Repo.x/HEAD") is None
    api.status = None
    assert await github.resolve("user/Repo.x/HEAD") is None
    assert len(api.requests) == 1


async def test_the_rate_limit_is_told_in_the_next_five_minutes(github: GitHub, api: Api) -> None:
    api.status = 403
    api.headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time()) + 7 * 60)}
    with raises(ResolveError, match=r"^GitHub rate limit exceeded\. Try again in 10 minutes\.$"):
        await github.resolve("user/Repo.x/HEAD")


@mark.parametrize(
    ("status", "body", "message"),
    [
        (403, b"", "HTTP 403"),
        (503, b"<html>", "HTTP 503"),
        (200, b"<html>", "not JSON"),
        (200, b"[]", "no commit"),
        (200, b'{"sha": "../../x"}', "no commit"),
        (200, b'{"sha": 5}', "no commit"),
    ],
)
async def test_other_answers_are_errors(
    github: GitHub, api: Api, status: int, body: bytes, message: str
) -> None:
    api.status, api.body = status, body
    with raises(ResolveError, match=message):
        await github.resolve("user/Repo.x/HEAD")


async def test_a_renamed_repository_is_followed(github: GitHub, api: Api) -> None:
    """GitHub sends on to another path of the same host."""
    api.status, api.headers = 301, {"Location": f"{api.url}/repositories/5/commits/HEAD"}
    with raises(ResolveError, match="more than 8 times"):
        await github.resolve("user/Repo.x/HEAD")
    api.moved_to = SHA
    found = await github.resolve("user/Repo.x/HEAD")
    assert found is not None
    assert found.ref == SHA


async def test_an_unreachable_api_is_an_error() -> None:
    async with aiohttp.ClientSession() as http:
        github = GitHub(GitHubConfig(api_url="http://127.0.0.1:1"), Tools(http, http, Listener()))
        with raises(ResolveError, match="could not be reached"):
            await github.resolve("user/repo/HEAD")


@mark.parametrize(
    "spec",
    [
        "user",
        "user/repo",
        "user/repo/",
        "../repo/HEAD",
        "user/../HEAD",
        "user/./HEAD",
        "user/repo/../../../gists",
        "user/repo/%2e%2e/x",
        "user/re%2fpo/HEAD",
        "us?er/repo/HEAD",
        "user/repo/a%00b",
        "user/repo/a\0b",
        "user/repo/a%3Fb",
        "user/repo/-x",
        "user/repo/" + "x" * 3000,
        "",
    ],
)
async def test_malformed_specs_reach_nobody(github: GitHub, api: Api, spec: str) -> None:
    with raises(SpecError):
        await github.resolve(spec)
    assert api.requests == []
