"""`binder-member images` against a real registry."""

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pytest import mark
from registry_stage import RunningRegistry, start_registry
from shelf import manifest_size, put_image, put_index
from typer.testing import CliRunner

from members.adapters.registry import Place, Registry, open_registry
from members.adapters.registry_catalog import Catalog
from members.adapters.registry_usage import UsageStore
from members.cli import main
from members.core.facts import Fact, LaunchEnded
from members.core.imagename import image_name
from members.core.retention import Policy
from members.core.usage import Usage
from members.runtimes.registry import usage_listeners
from members.service.retention import Retention
from members.settings import parse

pytestmark = [mark.integration, mark.docker]
DAY = 86400.0
OLD, NEW, FOREIGN = "fed/i-old-0a1b2c", "fed/i-new-0a1b2c", "fed/base-image"
POLICY = Policy(unused_for=30 * DAY, grace=7 * DAY)


@pytest.fixture
def shop(tmp_path: Path):  # type: ignore[no-untyped-def]
    running = start_registry(tmp_path / "registry")
    yield running
    running.kill()


@pytest.fixture
def config(shop: RunningRegistry, tmp_path: Path) -> Path:
    file = tmp_path / "member.yaml"
    file.write_text(
        f"name: gesis\nruntime: docker\nimage_prefix: {shop.host}/fed/i-\n"
        f"registry: {{url: '{shop.url}', docker_config: {tmp_path / 'none'}}}\n"
    )
    return file


@pytest.fixture
async def client(shop: RunningRegistry, tmp_path: Path) -> AsyncIterator[Registry]:
    place = Place("distribution", shop.url, f"{shop.host}/fed/i-", tmp_path / "none")
    async with open_registry(place, ignore) as opened:
        yield opened


def ignore(fact: Fact) -> None:
    pass


def retention(client: Registry, shop: RunningRegistry) -> tuple[Retention, UsageStore]:
    assert client.wire is not None
    prefix = f"{shop.host}/fed/i-"
    store = UsageStore(client.wire, prefix)
    return Retention(Catalog(client.wire), store, image_prefix=prefix, clock=time.time), store


def fill(shop: RunningRegistry) -> None:
    """An old image with two tags of one digest, a new one, and one of somebody else."""
    now = time.time()
    for tag in ("a", "b"):
        put_image(shop.url, OLD, tag, layers=(b"shared", b"old" * 1000), created=now - 90 * DAY)
    put_image(shop.url, NEW, "t", layers=(b"shared", b"new"), created=now - DAY)
    put_image(shop.url, FOREIGN, "t", layers=(b"foreign",), created=now - 900 * DAY)


async def write(client: Registry, shop: RunningRegistry, tag: str, record: Usage) -> None:
    await retention(client, shop)[1].write(tag, record)


async def run(*arguments: str | Path) -> tuple[int, str, str]:
    """The command in a thread, as it has a loop of its own."""
    result = await asyncio.to_thread(CliRunner().invoke, main, ["images", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


async def tags(client: Registry, repository: str) -> list[str]:
    assert client.wire is not None
    return sorted(await Catalog(client.wire).tags(repository))


async def test_the_list_has_size_and_last_use_anywhere(
    shop: RunningRegistry, client: Registry, config: Path
) -> None:
    fill(shop)
    used = time.time() - 3 * DAY
    await write(client, shop, "ovh-1", Usage("ovh", 1.0, {f"{OLD}:a": used}))
    await write(client, shop, "gesis-1", Usage("gesis", 1.0, {f"{OLD}:a": used - 5 * DAY}))
    status, text, _ = await run("--config", config)
    assert status == 0
    lines = text.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == [f"{NEW}:t", f"{OLD}:a", f"{OLD}:b"]
    assert lines[2].endswith(f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime(used))} UTC  ovh")
    assert "no record" in lines[1]
    assert FOREIGN not in text
    assert "usage" not in text
    assert "Records of use: gesis, ovh." in lines[-1]
    told = json.loads((await run("--config", config, "--json"))[1])
    assert told["members"] == ["gesis", "ovh"]
    by_name = {image["image"]: image for image in told["images"]}
    assert by_name[f"{OLD}:a"]["last_used_on"] == "ovh"
    assert by_name[f"{OLD}:a"]["size"] > 3000
    assert by_name[f"{NEW}:t"]["last_used"] is None


async def test_a_dry_run_says_what_would_go_and_touches_nothing(
    shop: RunningRegistry, client: Registry, config: Path
) -> None:
    fill(shop)
    status, text, _ = await run("prune", "--config", config)
    assert status == 0
    assert f"{OLD}:a" in text
    assert "no use recorded, created 90 days ago" in text
    assert f"{NEW}:t" not in text
    assert "2 images of 3 would go" in text
    assert "add --yes" in text
    assert await tags(client, OLD) == ["a", "b"]


async def test_a_prune_deletes_what_goes_and_garbage_collection_frees_it(
    shop: RunningRegistry, client: Registry, config: Path
) -> None:
    fill(shop)
    before = stored(shop)
    status, text, _ = await run("prune", "--config", config, "--yes")
    assert status == 0
    assert "2 images deleted" in text
    assert "garbage-collect" in text
    assert await tags(client, OLD) == []
    assert await tags(client, NEW) == ["t"]
    assert await tags(client, FOREIGN) == ["t"]
    assert stored(shop) == before
    shop.kill()
    program = shutil.which("docker-registry") or ""
    subprocess.run(
        [program, "garbage-collect", str(shop.folder / "config.yml")],
        check=True,
        capture_output=True,
    )
    shop.start()
    assert stored(shop) <= before - 3000
    assert (await run("prune", "--config", config, "--yes"))[1].startswith("0 images deleted")
    assert await client.has(f"{shop.host}/{NEW}:t")


async def test_an_index_goes_with_the_manifests_that_nothing_else_names(
    shop: RunningRegistry, client: Registry, config: Path
) -> None:
    long_ago = time.time() - 90 * DAY
    sizes = {}
    for tag in ("one", "two", "three"):
        digest = put_image(shop.url, OLD, tag, layers=(tag.encode() * 1000,), created=long_ago)
        sizes[digest] = manifest_size(shop.url, OLD, digest)
    one, two, three = sizes
    put_index(shop.url, OLD, "old", {one: sizes[one], two: sizes[two], three: sizes[three]})
    put_index(shop.url, OLD, "kept", {two: sizes[two]})
    assert client.wire is not None
    catalog = Catalog(client.wire)
    for tag in ("one", "two"):  # the registry's API takes no tag away without its manifest
        shutil.rmtree(shop.folder / "data/docker/registry/v2/repositories" / OLD / "_manifests/tags" / tag)
    assert sorted(await catalog.tags(OLD)) == ["kept", "old", "three"]
    options = ("--keep", "*:kept", "--keep", "*:three")
    assert "1 image deleted" in (await run("prune", "--config", config, "--yes", *options))[1]
    assert await catalog.digest(OLD, one) is None
    assert await catalog.digest(OLD, two) == two
    assert await catalog.digest(OLD, three) == three


def stored(shop: RunningRegistry) -> int:
    return sum(file.stat().st_size for file in (shop.folder / "data").rglob("data") if file.is_file())


@mark.parametrize(
    "option",
    [
        ("--keep", "old"),
        ("--keep", "*old*"),
        ("--unused-for", "99d"),
        ("--larger-than", "1G"),
        ("--grace", "99d"),
    ],
)
async def test_policies_that_keep_everything(
    shop: RunningRegistry, client: Registry, config: Path, option: tuple[str, str]
) -> None:
    name = image_name("fed/i-", "old", "a").removesuffix(":a")
    put_image(shop.url, name, "a", created=time.time() - 90 * DAY)
    status, text, _ = await run("prune", "--config", config, "--yes", *option)
    assert status == 0
    assert text.startswith("0 images deleted")
    assert await tags(client, name) == ["a"]


async def test_one_members_use_keeps_an_image_for_all(
    shop: RunningRegistry, client: Registry, config: Path
) -> None:
    fill(shop)
    await write(client, shop, "ovh-1", Usage("ovh", 1.0, {f"{OLD}:b": time.time() - 1.1 * DAY}))
    told = json.loads((await run("prune", "--config", config, "--yes", "--json"))[1])
    reasons = {image["image"]: image["reason"] for image in told["images"]}
    assert reasons[f"{OLD}:b"] == "last used 1 day ago on ovh"
    assert reasons[f"{OLD}:a"] == "is the same as its tag b, which stays"
    assert not any(image["deleted"] for image in told["images"])
    assert await tags(client, OLD) == ["a", "b"]


async def test_a_build_under_way_keeps_its_repository(
    shop: RunningRegistry, client: Registry, config: Path
) -> None:
    fill(shop)
    await write(client, shop, "ovh-1", Usage("ovh", 1.0, {}, {f"{OLD}:c": time.time()}))
    assert "0 images deleted" in (await run("prune", "--config", config, "--yes"))[1]
    await write(client, shop, "ovh-1", Usage("ovh", 1.0, {}, {f"{OLD}:c": time.time() - DAY}))
    assert "2 images deleted" in (await run("prune", "--config", config, "--yes"))[1]


MEANWHILE = ["used", "building", "pushed anew", "tagged anew", "nothing"]


@mark.parametrize("what", MEANWHILE)
async def test_what_happens_between_look_and_deletion_counts(
    shop: RunningRegistry, client: Registry, what: str
) -> None:
    fill(shop)
    images, store = retention(client, shop)
    verdicts = images.judge(await images.survey(), POLICY)
    assert sum(verdict.goes for verdict in verdicts) == 2
    if what == "used":
        await store.write("ovh-1", Usage("ovh", 1.0, {f"{OLD}:b": time.time()}))
    elif what == "building":
        await store.write("ovh-1", Usage("ovh", 1.0, {}, {f"{OLD}:a": time.time()}))
    elif what == "pushed anew":
        put_image(shop.url, OLD, "b", layers=(b"another",), created=time.time())
    elif what == "tagged anew":
        put_image(shop.url, OLD, "c", layers=(b"another",), created=time.time())
    done = [one async for one in images.prune(verdicts, POLICY)]
    assert [bool(one.kept) for one in done] == [what != "nothing"] * 2
    assert bool(await tags(client, OLD)) is (what != "nothing")


async def test_images_of_one_repository_go_one_after_another(shop: RunningRegistry, config: Path) -> None:
    """The first deletion changes the repository's tags, and must not look like somebody else's doing."""
    for tag in ("a", "b", "c"):
        put_image(shop.url, OLD, tag, layers=(tag.encode(),), created=time.time() - 90 * DAY)
    assert "3 images deleted" in (await run("prune", "--config", config, "--yes"))[1]


async def test_a_registry_without_deletion(shop: RunningRegistry, client: Registry, config: Path) -> None:
    fill(shop)
    shop.kill()
    file = shop.folder / "config.yml"
    file.write_text(file.read_text().replace("delete: {enabled: true}", "delete: {enabled: false}"))
    shop.start()
    status, text, error = await run("prune", "--config", config, "--yes")
    assert status == 1
    assert "0 images deleted" in text
    assert "storage.delete.enabled: true" in error
    assert await tags(client, OLD) == ["a", "b"]


async def test_a_registry_that_is_down(shop: RunningRegistry, config: Path) -> None:
    shop.kill()
    for arguments in (("--config", config), ("prune", "--config", config, "--yes")):
        status, text, error = await run(*arguments)
        assert (status, text) == (1, "")
        assert "cannot be reached" in error


async def test_a_record_that_cannot_be_read_stops_a_prune(
    shop: RunningRegistry, client: Registry, config: Path
) -> None:
    fill(shop)
    put_image(shop.url, "fed/i-usage", "ovh-1", layers=(b"no record",))
    status, _, error = await run("prune", "--config", config, "--yes")
    assert status == 1
    assert "fed/i-usage" in error
    assert await tags(client, OLD) == ["a", "b"]


@mark.parametrize(
    ("lines", "says"),
    [
        ("runtime: docker", "registry.url: this member's images stay on its own engine"),
        (
            "runtime: docker\nimage_prefix: h:1/x-\nregistry: {kind: helper, url: 'http://h:1', helper_token: x}",
            "it knows single images and cannot list them",
        ),
        (
            "runtime: docker\nimage_prefix: h:1/\nregistry: {url: 'http://h:1'}",
            "does not tell the federation's images from others",
        ),
    ],
)
async def test_members_without_images_to_list(tmp_path: Path, lines: str, says: str) -> None:
    file = tmp_path / "member.yaml"
    file.write_text(lines)
    for arguments in (("--config", file), ("prune", "--config", file)):
        status, _, error = await run(*arguments)
        assert status == 1
        assert says in error


@mark.parametrize("option", [("--unused-for", "30"), ("--larger-than", "big"), ("--grace", "x")])
async def test_wrong_options_are_named(config: Path, option: tuple[str, str]) -> None:
    status, _, error = await run("prune", "--config", config, *option)
    assert status == 1
    assert error.startswith(f"{option[0]}: '{option[1]}': expected")


async def test_a_list_needs_a_file() -> None:
    assert "expected --config FILE" in (await run())[2]


async def test_a_member_records_its_launches(shop: RunningRegistry, client: Registry, config: Path) -> None:
    """Two members of one name have a record each, and both speak for an image."""
    told: list[Fact] = []
    for state, image in (("one", f"{shop.host}/{OLD}:a"), ("two", f"{shop.host}/{NEW}:t")):
        settings = parse(f"{config.read_text()}state_dir: {state}\n", config, {})
        async with usage_listeners(settings, client, told.append) as listeners:
            for listen in listeners:
                listen(LaunchEnded("gh", "url", image, "success", 0, 1.0))
    assert told == []
    records = await retention(client, shop)[1].records()
    assert [set(record.used) for record in sorted(records, key=lambda r: min(r.used))] == [
        {f"{NEW}:t"},
        {f"{OLD}:a"},
    ]
    assert {record.member for record in records} == {"gesis"}
    assert len(await tags(client, "fed/i-usage")) == 2


async def test_without_a_registry_nothing_listens(config: Path) -> None:
    async with usage_listeners(parse(config.read_text(), config, {}), None, ignore) as listeners:
        assert listeners == ()
