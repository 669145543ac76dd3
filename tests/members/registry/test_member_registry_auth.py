import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from counter import OCI, Counter, basic, counter, opened, shown
from pytest import mark, raises

from members.core.model import Credentials, RegistryDown, RegistryState


@pytest.fixture
async def shop() -> AsyncIterator[Counter]:
    async with counter() as made:
        made.images.add("binder-x:1")
        yield made


def wants_basic(user: str, password: str, shop: Counter) -> None:
    def guard(request: web.Request) -> web.Response | None:
        right = shown(request) == basic(user, password)
        return None if right else web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})

    shop.guard = guard


def wants_token(shop: Counter, *, challenge: str, expires_in: object = 300, key: str = "token") -> None:
    """Takes the tokens t1, t2, ... of its own token server, each as the last one given out."""
    given = 0

    async def token(request: web.Request) -> web.Response:
        nonlocal given
        given += 1
        return web.json_response({key: f"t{given}", "expires_in": expires_in})

    def guard(request: web.Request) -> web.Response | None:
        right = given and shown(request) == f"Bearer t{given}"
        return None if right else web.Response(status=401, headers={"WWW-Authenticate": challenge})

    shop.token, shop.guard = token, guard


async def test_without_any_question_nothing_is_shown(shop: Counter, tmp_path: Path) -> None:
    async with opened(shop, tmp_path, username="me", password="pw") as registry:
        assert await registry.has(shop.image("binder-x:1"))
        assert not await registry.has(shop.image("binder-x:2"))
    assert all("Authorization" not in request.headers for request in shop.asked)


async def test_basic(shop: Counter, tmp_path: Path) -> None:
    wants_basic("me", "p:w", shop)
    async with opened(shop, tmp_path, username="me", password="p:w") as registry:
        assert await registry.has(shop.image("binder-x:1"))
        asked = len(shop.asked)
        assert await registry.has(shop.image("binder-x:1"))
        assert len(shop.asked) == asked + 1  # and at once from then on
        assert await registry.check()
        assert await registry.credentials(shop.image("binder-x:1")) == Credentials("me", "p:w", shop.host)


async def test_basic_from_dockers_config_file(shop: Counter, tmp_path: Path) -> None:
    wants_basic("me", "pw", shop)
    auth = basic("me", "pw").removeprefix("Basic ")
    (tmp_path / "config.json").write_text(json.dumps({"auths": {shop.host: {"auth": auth}}}))
    async with opened(shop, tmp_path) as registry:
        assert await registry.has(shop.image("binder-x:1"))


@mark.parametrize("login", [{}, {"username": "me", "password": "wrong"}])
async def test_wrong_or_no_credentials_are_no_missing_image(
    shop: Counter, tmp_path: Path, login: dict[str, str]
) -> None:
    wants_basic("me", "pw", shop)
    async with opened(shop, tmp_path, **login) as registry:
        with raises(RegistryDown) as caught:
            await registry.has(shop.image("binder-x:1"))
        assert caught.value.state is RegistryState.DENIED
        assert not await registry.check()
        assert registry.state is RegistryState.DENIED


@mark.parametrize(
    "more",
    [
        "",
        ',service="reg"',
        ',scope="repository:binder-x:pull"',
        ',service="reg",scope="repository:binder-x:pull"',
    ],
)
@mark.parametrize("key", ["token", "access_token"])
async def test_bearer_tokens(shop: Counter, tmp_path: Path, more: str, key: str) -> None:
    wants_token(shop, challenge=f'Bearer realm="{shop.url}/token"{more}', key=key)
    async with opened(shop, tmp_path, username="me", password="pw") as registry:
        assert await registry.has(shop.image("binder-x:1"))
    (asked,) = shop.tokens_asked
    assert asked.query["scope"] == "repository:binder-x:pull"
    assert asked.query.get("service") == ("reg" if "service" in more else None)
    assert shown(asked) == basic("me", "pw")
    assert all(OCI in request.headers["Accept"] for request in shop.asked)  # on the repetition too


async def test_anonymous_tokens(shop: Counter, tmp_path: Path) -> None:
    wants_token(shop, challenge=f'Bearer realm="{shop.url}/token"')
    async with opened(shop, tmp_path) as registry:
        assert await registry.has(shop.image("binder-x:1"))
        assert await registry.credentials(shop.image("binder-x:1")) is None
    assert "Authorization" not in shop.tokens_asked[0].headers


async def test_a_token_is_kept_and_fetched_once_for_many(shop: Counter, tmp_path: Path) -> None:
    wants_token(shop, challenge=f'Bearer realm="{shop.url}/token"')
    async with opened(shop, tmp_path) as registry:
        assert await registry.has(shop.image("binder-x:1"))
        found = await asyncio.gather(*(registry.has(shop.image("binder-x:1")) for _ in range(20)))
    assert all(found)
    assert len(shop.tokens_asked) == 1


async def test_an_expired_token_is_renewed_before_it_is_refused(shop: Counter, tmp_path: Path) -> None:
    wants_token(shop, challenge=f'Bearer realm="{shop.url}/token"', expires_in=0.5)
    async with opened(shop, tmp_path) as registry:
        assert await registry.has(shop.image("binder-x:1"))
        await asyncio.sleep(0.5)
        before = len(shop.asked)
        assert await registry.has(shop.image("binder-x:1"))
        assert len(shop.asked) == before + 1
    assert len(shop.tokens_asked) == 2


async def test_a_token_that_is_refused_early_is_replaced(shop: Counter, tmp_path: Path) -> None:
    wants_token(shop, challenge=f'Bearer realm="{shop.url}/token"')
    async with opened(shop, tmp_path) as registry:
        assert await registry.has(shop.image("binder-x:1"))
        await shop.token(shop.asked[0])  # type: ignore[misc]  # another client's: ours counts no more
        assert await registry.has(shop.image("binder-x:1"))


async def test_a_registry_that_takes_no_token_at_all_is_asked_twice_and_no_more(
    shop: Counter, tmp_path: Path
) -> None:
    wants_token(shop, challenge=f'Bearer realm="{shop.url}/token"')
    shop.guard = lambda request: web.Response(
        status=401, headers={"WWW-Authenticate": f'Bearer realm="{shop.url}/token"'}
    )
    async with opened(shop, tmp_path) as registry:
        with raises(RegistryDown, match="not allowed to read"):
            await registry.has(shop.image("binder-x:1"))
    assert len(shop.asked) <= 4


async def test_an_identity_token_is_exchanged(shop: Counter, tmp_path: Path) -> None:
    wants_token(shop, challenge=f'Bearer realm="{shop.url}/token",service="reg"', key="access_token")
    (tmp_path / "config.json").write_text(json.dumps({"auths": {shop.host: {"identitytoken": "idt"}}}))
    async with opened(shop, tmp_path) as registry:
        assert await registry.has(shop.image("binder-x:1"))
    form = parse_qs(shop.bodies[0].decode())
    assert shop.tokens_asked[0].method == "POST"
    assert (form["grant_type"], form["refresh_token"], form["service"]) == (
        ["refresh_token"],
        ["idt"],
        ["reg"],
    )
    assert form["scope"] == ["repository:binder-x:pull"]


async def test_token_url_overrules_the_registry(shop: Counter, tmp_path: Path) -> None:
    """And is asked first, with what stands in its own query."""
    wants_token(shop, challenge='Bearer realm="http://127.0.0.1:1/nowhere",service="other"')
    async with opened(shop, tmp_path, token_url=f"{shop.url}/token?service=mine") as registry:
        assert await registry.has(shop.image("binder-x:1"))
    assert len(shop.asked) == 1
    assert shop.tokens_asked[0].query["service"] == "mine"


@mark.parametrize("status", [401, 403])
async def test_a_token_server_that_refuses(shop: Counter, tmp_path: Path, status: int) -> None:
    wants_token(shop, challenge=f'Bearer realm="{shop.url}/token"')

    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=status)

    shop.token = refuse
    async with opened(shop, tmp_path, username="me", password="hunter2", not_found_401=True) as registry:
        with raises(RegistryDown, match="gives no token for the credentials of me") as caught:
            await registry.has(shop.image("binder-x:1"))
    assert caught.value.state is RegistryState.DENIED
    assert "hunter2" not in str(caught.value)


@mark.parametrize("answer", ["garbage", "[]", "{}", '{"token": 3}', '{"token": "a\\nb"}', '{"token": "é"}'])
async def test_token_servers_that_talk_nonsense(shop: Counter, tmp_path: Path, answer: str) -> None:
    wants_token(shop, challenge=f'Bearer realm="{shop.url}/token"')

    async def nonsense(request: web.Request) -> web.Response:
        return web.Response(text=answer)

    shop.token = nonsense
    async with opened(shop, tmp_path) as registry:
        with raises(RegistryDown, match="something else than a token"):
            await registry.has(shop.image("binder-x:1"))


async def test_a_token_server_that_fails_once(shop: Counter, tmp_path: Path) -> None:
    wants_token(shop, challenge=f'Bearer realm="{shop.url}/token"')
    give, failed = shop.token, False

    async def moody(request: web.Request) -> web.StreamResponse:
        nonlocal failed
        if failed:
            return await give(request)  # type: ignore[misc]
        failed = True
        return web.Response(status=503)

    shop.token = moody
    async with opened(shop, tmp_path) as registry:
        assert await registry.has(shop.image("binder-x:1"))


@mark.parametrize("realm", ["file:///etc/passwd", "nonsense", "//x"])
async def test_realms_that_are_no_url(shop: Counter, tmp_path: Path, realm: str) -> None:
    wants_token(shop, challenge=f'Bearer realm="{realm}"')
    async with opened(shop, tmp_path) as registry:
        with raises(RegistryDown, match="expected a URL"):
            await registry.has(shop.image("binder-x:1"))


async def test_credentials_go_to_no_other_host(shop: Counter, tmp_path: Path) -> None:
    wants_basic("me", "pw", shop)
    async with counter() as other:

        async def elsewhere(request: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": f"{other.url}{request.path}"})

        async with opened(shop, tmp_path, username="me", password="pw") as registry:
            assert await registry.has(shop.image("binder-x:1"))
            shop.before = elsewhere
            assert not await registry.has(shop.image("binder-x:1"))
            assert other.asked
            assert all("Authorization" not in request.headers for request in other.asked)
            assert await registry.credentials("other.example.org/x") is None


async def test_google_tokens_are_fetched_with_the_machines_account_and_kept(
    shop: Counter, tmp_path: Path
) -> None:
    wants_basic("oauth2accesstoken", "ya29.x", shop)

    async def metadata(request: web.Request) -> web.Response:
        if request.headers.get("Metadata-Flavor") != "Google":
            return web.Response(status=403)
        return web.json_response({"access_token": "ya29.x", "expires_in": 3599, "token_type": "Bearer"})

    shop.token = metadata
    async with opened(shop, tmp_path, kind="google", token_url=f"{shop.url}/token") as registry:
        assert await registry.has(shop.image("binder-x:1"))
        found = await registry.credentials(shop.image("binder-x:1"))
        assert found == Credentials("oauth2accesstoken", "ya29.x", shop.host)
    assert len(shop.tokens_asked) == 1


async def test_google_without_a_metadata_server(shop: Counter, tmp_path: Path) -> None:
    async with opened(shop, tmp_path, kind="google", token_url="http://127.0.0.1:1/token") as registry:
        with raises(RegistryDown, match=r"127\.0\.0\.1:1 cannot be reached"):
            await registry.credentials(shop.image("binder-x:1"))
