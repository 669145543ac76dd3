import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from counter import OCI, Answer, Counter, counter, hang, manifest, opened
from pytest import mark, raises

from members.adapters.registry import KINDS
from members.core.facts import Fact, Note
from members.core.model import RegistryDown, RegistryState


@pytest.fixture
async def shop() -> AsyncIterator[Counter]:
    async with counter() as made:
        yield made


def always(status: int, text: str = "", **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=text, headers=named)

    return answer


def first(answer: Answer, times: int, shop: Counter) -> None:
    """The first `times` questions get this answer, the others a registry's."""
    left = times

    async def before(request: web.Request) -> web.StreamResponse:
        nonlocal left
        left -= 1
        return await answer(request) if left >= 0 else shop.plain(request)

    shop.before = before


async def reset(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def truncated(request: web.Request) -> web.StreamResponse:
    """Promises more than it says. A HEAD has nothing that could break off."""
    if request.method == "HEAD":
        return web.Response(status=405)
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": OCI})
    await response.prepare(request)
    await response.write(b'{"schemaVersion": 2,')
    assert request.transport is not None
    request.transport.abort()
    return response


async def endless(request: web.Request) -> web.StreamResponse:
    if request.method == "HEAD":
        return web.Response(status=405)
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" " * 1_000_000)


async def slow(request: web.Request) -> web.StreamResponse:
    """One byte now and then: never silent for long, never done."""
    if request.method == "HEAD":
        return web.Response(status=405)
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.1)


async def loop(request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": str(request.url)})


UNCLEAR = [
    ("hanging", hang, RegistryState.UNREACHABLE),
    ("slow", slow, RegistryState.UNREACHABLE),
    ("resetting", reset, RegistryState.UNREACHABLE),
    ("truncated", truncated, RegistryState.FAILING),
    ("endless", endless, RegistryState.FAILING),
    ("500", always(500), RegistryState.FAILING),
    ("503", always(503), RegistryState.FAILING),
    ("429", always(429), RegistryState.LIMITED),
    ("403", always(403), RegistryState.DENIED),
    ("401", always(401), RegistryState.DENIED),
    ("garbage", always(200, "<html>log in first</html>"), RegistryState.NOT_A_REGISTRY),
    ("garbage as JSON", always(200, "[1"), RegistryState.NOT_A_REGISTRY),
    ("deep JSON", always(200, "[" * 100_000), RegistryState.NOT_A_REGISTRY),
    ("somebody's 404", always(404, "<html>nothing here</html>"), RegistryState.NOT_A_REGISTRY),
    ("400", always(400), RegistryState.NOT_A_REGISTRY),
    ("redirect loop", loop, RegistryState.NOT_A_REGISTRY),
    ("redirect to nowhere", always(302, Location="http://127.0.0.1:1/x"), RegistryState.UNREACHABLE),
    ("redirect to nonsense", always(302, Location="http://[x"), RegistryState.NOT_A_REGISTRY),
]


@mark.parametrize(("answer", "state"), [row[1:] for row in UNCLEAR], ids=[row[0] for row in UNCLEAR])
async def test_what_is_unclear_is_never_a_missing_image(
    shop: Counter, tmp_path: Path, answer: Answer, state: RegistryState
) -> None:
    shop.before = answer
    limit = 5.0 if answer is endless else 1.0  # its end takes time to come to on a busy machine
    async with opened(shop, tmp_path, timeout=limit) as registry:
        async with asyncio.timeout(10):
            with raises(RegistryDown) as caught:
                await registry.has(shop.image("binder-x:1"))
        assert caught.value.state is state
        assert shop.host in str(caught.value) or "127.0.0.1:1" in str(caught.value)
        assert not await registry.check()


async def test_nothing_listens(shop: Counter, tmp_path: Path) -> None:
    async with opened(shop, tmp_path, url="http://127.0.0.1:1") as registry:
        with raises(RegistryDown, match="cannot be reached"):
            await registry.has("127.0.0.1:1/binder-x:1")
        assert not await registry.check()
        assert registry.state is RegistryState.UNREACHABLE


async def test_something_else_than_http_listens(tmp_path: Path) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n" + b"x" * 100_000)
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        shop = Counter(f"http://127.0.0.1:{port}")
        async with opened(shop, tmp_path, timeout=1.0) as registry:
            with raises(RegistryDown):
                await registry.has(shop.image("binder-x:1"))


@mark.parametrize("answer", [always(500), always(503), reset, always(429, Retry_After="0")])
@mark.parametrize("there", [True, False])
async def test_a_passing_fault_is_waited_out(
    shop: Counter, tmp_path: Path, answer: Answer, there: bool
) -> None:
    if there:
        shop.images.add("binder-x:1")
    first(answer, 2, shop)
    async with opened(shop, tmp_path) as registry:
        assert await registry.has(shop.image("binder-x:1")) is there


async def test_retry_after_is_heeded(shop: Counter, tmp_path: Path) -> None:
    shop.images.add("binder-x:1")
    first(always(429, Retry_After="1"), 1, shop)
    async with opened(shop, tmp_path) as registry:
        started = asyncio.get_running_loop().time()
        assert await registry.has(shop.image("binder-x:1"))
        assert asyncio.get_running_loop().time() - started >= 0.9
    assert len(shop.asked) == 2


async def test_a_registry_that_wants_us_to_wait_longer_than_we_may_is_limited_at_once(
    shop: Counter, tmp_path: Path
) -> None:
    shop.before = always(429, Retry_After="3600")
    async with opened(shop, tmp_path) as registry:
        with raises(RegistryDown) as caught:
            await registry.has(shop.image("binder-x:1"))
    assert caught.value.state is RegistryState.LIMITED
    assert len(shop.asked) == 1


async def test_a_hit_is_one_head(shop: Counter, tmp_path: Path) -> None:
    """Docker Hub counts every GET of a manifest as a pull."""
    shop.images.add("binder-x:1")
    async with opened(shop, tmp_path) as registry:
        assert await registry.has(shop.image("binder-x:1"))
    assert [request.method for request in shop.asked] == ["HEAD"]


async def test_a_registry_without_head(shop: Counter, tmp_path: Path) -> None:
    async def only_get(request: web.Request) -> web.Response:
        return manifest() if request.method == "GET" else web.Response(status=405)

    shop.before = only_get
    async with opened(shop, tmp_path) as registry:
        assert await registry.has(shop.image("binder-x:1"))


@mark.parametrize("status", [401, 403])
async def test_a_registry_that_hides_missing_images(shop: Counter, tmp_path: Path, status: int) -> None:
    shop.before = always(status)
    async with opened(shop, tmp_path, not_found_401=True) as registry:
        assert not await registry.has(shop.image("binder-x:1"))


async def test_a_missing_image_in_the_words_of_the_headers(shop: Counter, tmp_path: Path) -> None:
    shop.before = always(404, **{"Docker_Distribution_Api_Version": "registry/2.0"})
    async with opened(shop, tmp_path) as registry:
        assert not await registry.has(shop.image("binder-x:1"))


async def test_an_image_without_tag_is_the_latest(shop: Counter, tmp_path: Path) -> None:
    shop.images.add("binder-x:latest")
    async with opened(shop, tmp_path) as registry:
        assert await registry.has(shop.image("binder-x"))


async def test_states_are_told_when_they_change(shop: Counter, tmp_path: Path) -> None:
    told: list[Fact] = []
    async with opened(shop, tmp_path, told) as registry:
        assert await registry.check()
        assert await registry.check()
        shop.before = always(503)
        assert not await registry.check()
        assert not await registry.check()
        shop.before = None
        assert await registry.check()
    notes = [fact.message for fact in told if isinstance(fact, Note)]
    assert notes == [
        f"The registry {shop.url} is ready",
        f"The registry {shop.url} is failing: {shop.url} answered status 503",
        f"The registry {shop.url} is ready",
    ]


async def uploads(status: int, shop: Counter) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status) if request.method == "POST" else shop.plain(request)

    shop.before = answer


async def test_a_registry_in_maintenance_still_launches(shop: Counter, tmp_path: Path) -> None:
    await uploads(405, shop)
    async with opened(shop, tmp_path) as registry:
        assert await registry.check()
        assert registry.state is RegistryState.READ_ONLY


async def test_credentials_that_may_not_push_are_denied(shop: Counter, tmp_path: Path) -> None:
    await uploads(403, shop)
    async with opened(shop, tmp_path) as registry:
        assert not await registry.check()
        assert registry.state is RegistryState.DENIED


async def test_the_upload_that_proves_a_push_is_given_up_and_not_repeated(
    shop: Counter, tmp_path: Path
) -> None:
    async with opened(shop, tmp_path) as registry:
        assert await registry.check()
        assert await registry.check()
    assert [request.method for request in shop.asked] == ["GET", "POST", "DELETE", "GET"]
    assert shop.asked[2].path.startswith("/v2/binder-some-image-name/blobs/uploads/")


async def test_while_a_look_lasts_the_one_before_it_stands(shop: Counter, tmp_path: Path) -> None:
    """The health page waits for a second or so; a slow answer must not look like a dead registry."""
    async with opened(shop, tmp_path, timeout=6.0) as registry:
        assert await registry.check()
        shop.before = hang
        started = asyncio.get_running_loop().time()
        assert await registry.check()
        assert asyncio.get_running_loop().time() - started < 2.5
        async with asyncio.timeout(20):
            while await registry.check():
                pass
        assert registry.state is RegistryState.UNREACHABLE


async def test_a_first_look_goes_on_when_nobody_waits_for_it(shop: Counter, tmp_path: Path) -> None:
    async def late(request: web.Request) -> web.Response:
        await asyncio.sleep(0.3)
        return shop.plain(request)

    shop.before = late
    async with opened(shop, tmp_path) as registry:
        with raises(TimeoutError):
            await asyncio.wait_for(registry.check(), 0.1)
        assert await registry.check()
    assert [request.method for request in shop.asked] == ["GET", "POST", "DELETE"]


async def test_the_name_to_pull_by(shop: Counter, tmp_path: Path) -> None:
    async with opened(shop, tmp_path, cache="http://10.0.0.9:5001") as registry:
        assert registry.pull_name(shop.image("binder-x:1")) == "10.0.0.9:5001/binder-x:1"
    async with opened(shop, tmp_path) as registry:
        assert registry.pull_name(shop.image("binder-x:1")) == shop.image("binder-x:1")


def test_settings_and_table_have_the_same_kinds() -> None:
    from members.settings.docker import Registry

    assert set(KINDS) == set(Registry.model_fields["kind"].annotation.__args__)  # type: ignore[union-attr]
