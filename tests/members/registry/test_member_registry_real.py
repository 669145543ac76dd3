"""The registry client against real docker-registry processes."""

import asyncio
import base64
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from counter import basic, shown
from engine_stage import Engine
from pytest import mark, raises
from registry_stage import RunningRegistry, start_registry
from shelf import DOCKER, DOCKER_LIST, OCI, manifest_size, put_image, put_index

from members.adapters.registry import Place, Registry, open_registry
from members.adapters.registry_catalog import Catalog
from members.adapters.registry_usage import UsageStore
from members.core.facts import Fact
from members.core.model import RegistryDown, RegistryRefuses, RegistryState
from members.core.usage import Usage

pytestmark = [mark.integration, mark.docker]
REPOSITORY = "builds/i-user-2drepo-0a1b2c"
SESAME = "me:$2b$04$vTL3jTLh0nanr7KBcsD9Z.XmE6zmJKSg0FN/ZVzoR5GUXGPs.NHqC\n"  # htpasswd of me, sesame


def place(running: RunningRegistry, folder: Path, **more: object) -> Place:
    given = {
        "kind": "distribution",
        "url": running.url,
        "image_prefix": f"{running.host}/builds/i-",
        "docker_config": folder,
    }
    return Place(**{**given, **more})  # type: ignore[arg-type]


def nobody(fact: Fact) -> None:
    pass


@pytest.fixture
async def client(registry: RunningRegistry, tmp_path: Path) -> AsyncIterator[Registry]:
    async with open_registry(place(registry, tmp_path), nobody) as opened:
        yield opened


def wire_of(opened: Registry) -> Catalog:
    assert opened.wire is not None
    return Catalog(opened.wire)


@mark.parametrize("kind", [OCI, DOCKER])
async def test_images_of_both_formats_are_found(
    registry: RunningRegistry, client: Registry, kind: str
) -> None:
    """An engine like Debian's pushes Docker's format, for which BinderHub does not ask."""
    put_image(registry.url, REPOSITORY, "one", kind=kind)
    assert await client.has(f"{registry.host}/{REPOSITORY}:one")
    assert not await client.has(f"{registry.host}/{REPOSITORY}:two")
    assert not await client.has(f"{registry.host}/{REPOSITORY}-none:one")


@mark.parametrize("kind", ["application/vnd.oci.image.index.v1+json", DOCKER_LIST])
async def test_images_for_several_machines_are_found(
    registry: RunningRegistry, client: Registry, kind: str
) -> None:
    below = OCI if kind.startswith("application/vnd.oci") else DOCKER
    digest = put_image(registry.url, REPOSITORY, "amd64", kind=below, layers=(b"x" * 500,), created=1.6e9)
    size = manifest_size(registry.url, REPOSITORY, digest, below)
    put_index(registry.url, REPOSITORY, "all", {digest: size}, kind=kind)
    assert await client.has(f"{registry.host}/{REPOSITORY}:all")
    pieces = await wire_of(client).pieces(REPOSITORY, "all")
    assert pieces is not None
    assert pieces.created == 1.6e9
    assert digest in {blob.digest for blob in pieces.blobs}
    assert sum(blob.size for blob in pieces.blobs) > size + 500


async def test_its_health_follows_it(tmp_path: Path) -> None:
    running = start_registry(tmp_path / "registry")
    try:
        async with open_registry(place(running, tmp_path), nobody) as client:
            assert await client.check()
            assert client.state is RegistryState.READY
            running.kill()
            assert not await client.check()
            assert client.state is RegistryState.UNREACHABLE
            running.start()
            assert await client.check()
    finally:
        running.kill()


async def test_a_registry_that_comes_back_in_time_is_no_fault(tmp_path: Path) -> None:
    running = start_registry(tmp_path / "registry")
    put_image(running.url, REPOSITORY, "one")
    try:
        async with open_registry(place(running, tmp_path), nobody) as client:
            running.kill()
            asking = asyncio.create_task(client.has(f"{running.host}/{REPOSITORY}:one"))
            await asyncio.sleep(0.05)
            await asyncio.to_thread(running.start)
            assert await asking
    finally:
        running.kill()


async def test_a_read_only_registry_gives_and_does_not_take(tmp_path: Path) -> None:
    running = start_registry(tmp_path / "registry")
    put_image(running.url, REPOSITORY, "one")
    running.kill()
    config = tmp_path / "registry" / "config.yml"
    config.write_text(
        config.read_text().replace("storage:", "storage:\n  maintenance: {readonly: {enabled: true}}")
    )
    running.start()
    try:
        async with open_registry(place(running, tmp_path), nobody) as client:
            assert await client.check()
            assert client.state is RegistryState.READ_ONLY
            assert await client.has(f"{running.host}/{REPOSITORY}:one")
    finally:
        running.kill()


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    """Basic authentication."""
    folder = tmp_path_factory.mktemp("locked")
    (folder / "htpasswd").write_text(SESAME)
    running = start_registry(folder, more=f"auth: {{htpasswd: {{realm: here, path: {folder / 'htpasswd'}}}}}")
    put_image(running.url, REPOSITORY, "one", headers={"Authorization": basic("me", "sesame")})
    yield running
    running.kill()


async def test_basic_authentication(locked: RunningRegistry, tmp_path: Path) -> None:
    async with open_registry(place(locked, tmp_path, username="me", password="sesame"), nobody) as client:
        assert await client.has(f"{locked.host}/{REPOSITORY}:one")
        assert not await client.has(f"{locked.host}/{REPOSITORY}:two")
        assert await client.check()


async def test_basic_authentication_without_credentials(locked: RunningRegistry, tmp_path: Path) -> None:
    async with open_registry(place(locked, tmp_path), nobody) as client:
        with raises(RegistryDown) as caught:
            await client.has(f"{locked.host}/{REPOSITORY}:one")
        assert caught.value.state is RegistryState.DENIED
        assert not await client.check()


_CERTIFICATE = [
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-days",
    "2",
    "-subj",
    "/CN=tokens",
]


class Tokens:
    """A token server that a real registry trusts: signs what `me` asks for, and reading for everybody."""

    def __init__(self, folder: Path) -> None:
        self.key, self.certificate = folder / "key.pem", folder / "cert.pem"
        subprocess.run(
            [*_CERTIFICATE, "-keyout", str(self.key), "-out", str(self.certificate)],
            check=True,
            capture_output=True,
        )
        self.scopes: list[str] = []

    async def give(self, request: web.Request) -> web.Response:
        login = shown(request)
        if login not in ("", basic("me", "sesame")):
            return web.Response(status=401)
        self.scopes.append(request.query.get("scope", ""))
        access = []
        for scope in filter(None, request.query.get("scope", "").split(" ")):
            thing, _, actions = scope.rpartition(":")
            kind, _, name = thing.partition(":")
            allowed = [action for action in actions.split(",") if login or action == "pull"]
            access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        body = "".join(self.certificate.read_text().splitlines()[1:-1])
        token = jwt.encode(
            {"iss": "tokens", "aud": request.query["service"], "sub": "me", "jti": str(len(self.scopes))}
            | {"iat": now, "nbf": now - 5, "exp": now + 300, "access": access},
            self.key.read_text(),
            algorithm="RS256",
            headers={"x5c": [base64.b64encode(base64.b64decode(body)).decode()]},
        )
        return web.json_response({"token": token, "expires_in": 300})


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[tuple[RunningRegistry, Tokens]]:
    """Token authentication, with its token server."""
    tokens = Tokens(tmp_path)
    app = web.Application()
    app.router.add_get("/token", tokens.give)
    async with TestServer(app) as server:
        auth = (
            f"auth: {{token: {{realm: '{server.make_url('/token')}', service: reg, issuer: tokens, "
            f"rootcertbundle: {tokens.certificate}}}}}"
        )
        running = await asyncio.to_thread(start_registry, tmp_path / "registry", more=auth)
        yield running, tokens
        running.kill()


async def test_token_authentication(guarded: tuple[RunningRegistry, Tokens], tmp_path: Path) -> None:
    running, tokens = guarded
    mine = place(running, tmp_path, username="me", password="sesame")
    async with open_registry(mine, nobody) as client:
        assert client.wire is not None
        store, catalog = UsageStore(client.wire, mine.image_prefix), Catalog(client.wire)
        await store.write("a-1", Usage("a", 1.0, {"x:1": 5.0}))
        await store.write("a-1", Usage("a", 2.0, {"x:1": 6.0}))
        assert await store.records() == [Usage("a", 2.0, {"x:1": 6.0})]
        assert await client.has(f"{running.host}/builds/i-usage:a-1")
        assert not await client.has(f"{running.host}/{REPOSITORY}:one")
        assert await client.check()
        assert await catalog.repositories() == ["builds/i-usage"]
        asked = len(tokens.scopes)
        assert await client.has(f"{running.host}/builds/i-usage:a-1")
        assert len(tokens.scopes) == asked  # kept
        digest = await catalog.digest("builds/i-usage", "a-1")
        assert digest is not None
        await catalog.delete("builds/i-usage", digest)
        assert await catalog.tags("builds/i-usage") == []
    assert "repository:builds/i-usage:pull,push" in tokens.scopes


async def test_who_may_only_read_is_told_so(guarded: tuple[RunningRegistry, Tokens], tmp_path: Path) -> None:
    running, _ = guarded
    async with open_registry(place(running, tmp_path), nobody) as client:
        assert not await client.has(f"{running.host}/{REPOSITORY}:one")
        assert not await client.check()
        assert client.state is RegistryState.DENIED
        with raises(RegistryRefuses, match="does not tell which images it has"):
            await wire_of(client).repositories()


async def test_a_wrong_password_at_a_token_server(
    guarded: tuple[RunningRegistry, Tokens], tmp_path: Path
) -> None:
    running, _ = guarded
    async with open_registry(place(running, tmp_path, username="me", password="no"), nobody) as client:
        with raises(RegistryDown, match="gives no token for the credentials of me"):
            await client.has(f"{running.host}/{REPOSITORY}:one")


async def test_a_cache_serves_what_it_has_when_its_origin_is_dead(tmp_path: Path) -> None:
    origin = start_registry(tmp_path / "origin")
    cache = start_registry(tmp_path / "cache", more=f"proxy: {{remoteurl: '{origin.url}'}}")
    try:
        for tag in ("one", "two"):
            put_image(origin.url, REPOSITORY, tag, layers=(tag.encode(),))
        async with (
            open_registry(place(origin, tmp_path, cache=cache.url), nobody) as member,
            open_registry(place(cache, tmp_path, timeout=5.0), nobody) as through,
        ):
            name = member.pull_name(f"{origin.host}/{REPOSITORY}:one")
            assert name == f"{cache.host}/{REPOSITORY}:one"
            assert await member.credentials(name) is None
            assert await through.has(name)
            pulled = await wire_of(through).pieces(REPOSITORY, "one")
            assert through.wire is not None
            for blob in pulled.blobs[1:] if pulled else ():
                await through.wire.ask("GET", f"/v2/{REPOSITORY}/blobs/{blob.digest}", scope="")
            assert await through.check()
            assert through.state is RegistryState.READ_ONLY  # it takes no pushes, and says so
            origin.kill()
            with raises(RegistryDown):
                await member.has(f"{origin.host}/{REPOSITORY}:one")
            assert await wire_of(through).pieces(REPOSITORY, "one") == pulled
            # It says "missing" of what it never fetched: whether to build is never asked of a cache.
            assert not await through.has(f"{cache.host}/{REPOSITORY}:two")
    finally:
        cache.kill()
        origin.kill()


async def test_an_engine_pushes_to_the_registry_and_pulls_through_its_cache(
    engine: Engine, tmp_path: Path
) -> None:
    origin = start_registry(tmp_path / "origin")
    cache = start_registry(tmp_path / "cache", more=f"proxy: {{remoteurl: '{origin.url}'}}")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "file").write_text("content")
    subprocess.run(["tar", "-C", tmp_path / "root", "-cf", tmp_path / "root.tar", "."], check=True)
    image = f"{origin.host}/{REPOSITORY}:engine"
    try:
        async with open_registry(place(origin, tmp_path, cache=cache.url), nobody) as member:
            assert not await member.has(image)
            for command in (("import", str(tmp_path / "root.tar"), image), ("push", image), ("rmi", image)):
                await asyncio.to_thread(engine.run, *command)
            assert await member.has(image)
            pieces = await Catalog(member.wire).pieces(REPOSITORY, "engine") if member.wire else None
            assert pieces is not None
            assert pieces.created == pytest.approx(time.time(), abs=300)  # told in nanoseconds
            name = member.pull_name(image)
            for _ in range(2):
                await asyncio.to_thread(engine.run, "pull", name)
                await asyncio.to_thread(engine.run, "tag", name, image)
                await asyncio.to_thread(engine.run, "rmi", name, image)
                origin.kill()  # and once more, from the cache alone
    finally:
        cache.kill()
        origin.kill()


async def test_long_catalogs_have_pages(
    registry: RunningRegistry, client: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("members.adapters.registry_catalog._PAGE", 2)
    names = [f"builds/i-many-2d{number}-0a1b2c" for number in range(7)]
    for name in names:
        put_image(registry.url, name, "t")
    found = await wire_of(client).repositories()
    assert set(names) <= set(found)
    assert len(found) == len(set(found))
    for tag in "abcde":
        put_image(registry.url, names[0], tag)
    assert set(await wire_of(client).tags(names[0])) >= set("abcde")


async def test_a_registry_without_deletion_says_so(tmp_path: Path) -> None:
    running = start_registry(tmp_path / "registry")
    digest = put_image(running.url, REPOSITORY, "one")
    running.kill()
    config = tmp_path / "registry" / "config.yml"
    config.write_text(config.read_text().replace("delete: {enabled: true}", "delete: {enabled: false}"))
    running.start()
    try:
        async with open_registry(place(running, tmp_path), nobody) as client:
            with raises(RegistryRefuses, match=r"storage\.delete\.enabled: true"):
                await wire_of(client).delete(REPOSITORY, digest)
            assert await client.has(f"{running.host}/{REPOSITORY}:one")
    finally:
        running.kill()


async def test_a_record_that_cannot_be_read_is_an_error(registry: RunningRegistry, client: Registry) -> None:
    assert client.wire is not None
    store = UsageStore(client.wire, f"{registry.host}/broken/")
    put_image(registry.url, "broken/usage", "a-1", layers=(b"no record",))
    with raises(RegistryDown):
        await store.records()


async def test_records_of_one_content_are_replaced_one_by_one(
    registry: RunningRegistry, client: Registry
) -> None:
    """Deletion is by digest: had two tags one manifest, both would go with the first one's old version."""
    assert client.wire is not None
    store = UsageStore(client.wire, f"{registry.host}/alike/i-")
    same, new = Usage("a", 1.0, {"x:1": 5.0}), Usage("a", 2.0, {"x:1": 6.0})
    await store.write("a-1", same)
    await store.write("a-2", same)
    await store.write("a-1", new)
    assert [await store.record(tag) for tag in ("a-1", "a-2")] == [new, same]
