from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from counter import Counter, counter, opened, shown
from pytest import mark, raises

from members.core.model import Credentials, RegistryDown, RegistryState


@pytest.fixture
async def shop() -> AsyncIterator[Counter]:
    """A helper like BinderHub's, whose repositories are kept in `images` too."""
    async with counter() as made:
        made.before = lambda request: answer(made, request)
        yield made


async def answer(shop: Counter, request: web.Request) -> web.Response:
    if shown(request) != "Bearer sesame":
        return web.Response(status=403)
    kind, _, name = request.path.lstrip("/").partition("/")
    if kind == "token" and request.method == "POST":
        return web.json_response(
            {"username": "AWS", "password": "pw", "registry": "https://1.ecr.example", "expires": "soon"}
        )
    if request.method == "POST":
        shop.images.add(name)
    return web.json_response({"name": name}) if name in shop.images else web.Response(status=404)


async def test_a_missing_repository_is_made(shop: Counter, tmp_path: Path) -> None:
    async with opened(shop, tmp_path, kind="helper", helper_token="sesame") as registry:
        assert not await registry.has("1.ecr.example/binder/x:1")
        assert "binder/x" in shop.images
        assert not await registry.has("1.ecr.example/binder/x:1")
        shop.images.add("binder/x:1")
        assert await registry.has("1.ecr.example/binder/x:1")
    asked = [f"{request.method} {request.path}" for request in shop.asked]
    assert asked[:4] == [
        "GET /repo/binder/x",
        "POST /repo/binder/x",
        "GET /repo/binder/x",
        "GET /image/binder/x:1",
    ]


async def test_credentials_are_the_helpers(shop: Counter, tmp_path: Path) -> None:
    async with opened(shop, tmp_path, kind="helper", helper_token="sesame") as registry:
        found = await registry.credentials("1.ecr.example/binder/x:1")
    assert found == Credentials("AWS", "pw", "https://1.ecr.example")
    assert shop.asked[0].path == "/token/binder/x:1"


async def test_its_health_makes_no_repository(shop: Counter, tmp_path: Path) -> None:
    async with opened(shop, tmp_path, kind="helper", helper_token="sesame") as registry:
        assert await registry.check()
    assert shop.images == set()


async def test_a_wrong_token(shop: Counter, tmp_path: Path) -> None:
    async with opened(shop, tmp_path, kind="helper", helper_token="wrong") as registry:
        with raises(RegistryDown):
            await registry.has("1.ecr.example/binder/x:1")
        assert not await registry.check()
        assert registry.state is RegistryState.DENIED


@mark.parametrize("text", ["garbage", "[]", "{}", '{"username": 1, "password": "x", "registry": "y"}'])
async def test_nonsense(shop: Counter, tmp_path: Path, text: str) -> None:
    async def nonsense(request: web.Request) -> web.Response:
        return web.Response(text=text)

    shop.before = nonsense
    async with opened(shop, tmp_path, kind="helper", helper_token="sesame") as registry:
        with raises(RegistryDown):
            await registry.credentials("1.ecr.example/binder/x:1")


async def test_no_credentials(shop: Counter, tmp_path: Path) -> None:
    async def gone(request: web.Request) -> web.Response:
        return web.Response(status=404)

    shop.before = gone
    async with opened(shop, tmp_path, kind="helper", helper_token="sesame") as registry:
        assert await registry.credentials("1.ecr.example/binder/x:1") is None
