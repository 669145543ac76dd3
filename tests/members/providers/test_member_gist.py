from collections.abc import AsyncIterator

from aiohttp import web
from member_fakes import SHA, Listener
from pydantic import SecretStr
from pytest import fixture, mark, raises
from sites import Site, site, tools

from members.core.facts import RateLimit
from members.core.model import ResolveError, SpecError
from members.providers.gist import Gist, GistConfig

ID = "8f7c2f0341ef4180b0dbe97f59130756"
OLD = "b" * 40


@fixture
async def api() -> AsyncIterator[Site]:
    async with site() as made:
        history = [{"version": SHA}, {"version": OLD}]
        made.answers[f"/gists/{ID}"] = {"public": True, "owner": {"login": "User"}, "history": history}
        yield made


@fixture
async def gist(api: Site) -> AsyncIterator[Gist]:
    async with tools() as made:
        yield Gist(GistConfig(api_url=api.url), made)


@mark.parametrize(
    ("spec", "sha"),
    [
        (f"user/{ID}", SHA),
        (f"user/{ID}/", SHA),
        (f"user/{ID}/HEAD", SHA),
        (f"user/{ID}/master", SHA),
        (f"user/{ID}/main", SHA),
        (f"user/{ID}/{OLD}", OLD),
    ],
)
async def test_a_ref_becomes_a_version(gist: Gist, api: Site, spec: str, sha: str) -> None:
    found = await gist.resolve(spec)
    assert found is not None
    assert found.repo_url == f"https://gist.github.com/user/{ID}.git"
    assert found.ref == sha
    assert found.ref_url == f"https://gist.github.com/user/{ID}/{sha}"
    assert found.resolved_spec == f"user/{ID}/{sha}"
    assert found.build_slug == ID
    assert found.is_git
    assert api.asked[0].headers["User-Agent"] == "BinderHub"


@mark.parametrize("spec", [f"user/{ID}/nosuch", f"user/{ID}/{'c' * 40}", "user/0000/HEAD"])
async def test_what_is_not_there_is_none(gist: Gist, spec: str) -> None:
    assert await gist.resolve(spec) is None


async def test_a_404_is_remembered(gist: Gist, api: Site) -> None:
    assert await gist.resolve("user/0000") is None
    assert await gist.resolve("other/0000/HEAD") is None
    assert len(api.asked) == 1


async def test_secret_gists_need_permission(api: Site) -> None:
    api.answers[f"/gists/{ID}"] = {"public": False, "history": [{"version": SHA}]}
    async with tools() as made:
        with raises(ResolveError, match="is a secret gist"):
            await Gist(GistConfig(api_url=api.url), made).resolve(f"user/{ID}")
        allowing = Gist(GistConfig(api_url=api.url, allow_secret_gist=True), made)
        assert await allowing.resolve(f"user/{ID}") is not None


@mark.parametrize("rule", [{"allowed_specs": ("other/",)}, {"banned_specs": ("user/",)}])
async def test_rules_about_users_cannot_be_passed_by_another_name(
    api: Site, rule: dict[str, tuple[str, ...]]
) -> None:
    async with tools() as made:
        ruled = Gist(GistConfig(api_url=api.url, **rule), made)
        with raises(ResolveError, match=f"the gist {ID} is User's, not other's"):
            await ruled.resolve(f"other/{ID}")
        assert await ruled.resolve(f"user/{ID}") is not None


async def test_without_such_rules_any_user_name_does(gist: Gist) -> None:
    assert await gist.resolve(f"other/{ID}") is not None


async def test_a_known_answer_is_only_confirmed_and_the_app_is_named(api: Site) -> None:
    entry = f'{{"public": true, "history": [{{"version": "{SHA}"}}]}}'.encode()
    headers = {"ETag": '"e1"', "x-ratelimit-remaining": "41"}
    api.answers[f"/gists/{ID}"] = web.Response(body=entry, headers=headers)
    told = Listener()
    config = GistConfig(api_url=api.url, client_id="app", client_secret=SecretStr("sesame"))
    async with tools(told) as made:
        gist = Gist(config, made)
        first = await gist.resolve(f"user/{ID}")
        api.answers[f"/gists/{ID}"] = web.Response(status=304)
        assert await gist.resolve(f"user/{ID}") == first
    assert [request.headers.get("If-None-Match") for request in api.asked] == [None, '"e1"']
    assert api.asked[0].headers["Authorization"] == "Basic YXBwOnNlc2FtZQ=="
    assert told.facts == [RateLimit(41)]


@mark.parametrize(
    "body",
    [
        {},
        [],
        {"history": []},
        {"history": [{"version": "../../x"}]},
        {"history": [5]},
        {"history": [{"version": None}]},
        b"<html>",
        b"[" * 100_000,
    ],
)
async def test_answers_that_make_no_sense(gist: Gist, api: Site, body: bytes) -> None:
    api.answers[f"/gists/{ID}"] = body
    with raises(ResolveError, match="GitHub's answer"):
        await gist.resolve(f"user/{ID}")


@mark.parametrize(
    "spec",
    [
        "",
        "user",
        f"user/{ID}/a/b",
        "user/../x",
        f"us%2Fer/{ID}",
        "user/12-3",
        f"user/{ID}/a%00b",
        f"user/{ID}?x/y",
    ],
)
async def test_malformed_specs_reach_nobody(gist: Gist, api: Site, spec: str) -> None:
    with raises(SpecError):
        await gist.resolve(spec)
    assert api.asked == []
