from collections.abc import AsyncIterator
from urllib.parse import quote

from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from pytest import fixture, mark, raises
from sites import Site, site, tools

from members.core.model import Resolved, ResolveError, SpecError
from members.providers.ckan import Ckan, CkanConfig, _page, _question

ACTIVITY = "93df7fd0-0edc-4ebf-bac7-fbf5f78de90b"
SHOW = "/api/3/action/package_show?id=sea-turtles"
DATA = f"/api/3/action/activity_data_show?id={ACTIVITY}&object_type=package"


def package(modified: str = "2024-04-02T02:10:31.123456", name: str = "sea-turtles") -> dict[str, object]:
    return {"success": True, "result": {"name": name, "id": "u-1", "metadata_modified": modified}}


@fixture
async def server() -> AsyncIterator[Site]:
    async with site() as made:
        made.answers[SHOW] = package()
        made.answers[f"/data{SHOW}"] = package()
        made.answers[DATA] = package("2024-04-01T00:00:00")
        yield made


@fixture
async def ckan() -> AsyncIterator[Ckan]:
    async with tools() as made:
        yield Ckan(CkanConfig(private_addresses=True), made)


async def resolve(ckan: Ckan, url: str) -> Resolved | None:
    return await ckan.resolve(quote(url, safe=""))


@mark.parametrize(
    ("path", "asked", "epoch"),
    [
        ("/dataset/sea-turtles", SHOW, 1712023831),
        ("/dataset/sea-turtles/", SHOW, 1712023831),
        ("/dataset/sea-turtles/resource/abc-1", SHOW, 1712023831),
        ("/data/dataset/sea-turtles", f"/data{SHOW}", 1712023831),
        (f"/dataset/sea-turtles/?activity_id={ACTIVITY}", DATA, 1711929600),
        (f"/dataset/sea-turtles/history/{ACTIVITY}", DATA, 1711929600),
        (f"/dataset/sea-turtles/history/{ACTIVITY}?activity_id=other", DATA, 1711929600),
    ],
)
async def test_a_dataset_becomes_the_time_of_its_last_change(
    ckan: Ckan, server: Site, path: str, asked: str, epoch: int
) -> None:
    url = server.url + path
    found = await resolve(ckan, url)
    assert found is not None
    assert (found.repo_url, found.ref_url, found.resolved_spec) == (url, url, url)
    assert found.ref == f"sea-turtles.v{epoch}"
    assert found.build_slug == "ckan-sea-turtles"
    assert not found.is_git
    assert server.paths == [asked]
    assert server.asked[0].headers["User-Agent"] == "BinderHub"


@mark.parametrize(
    "path",
    [
        "/",
        "/group/roger",
        "/dataset/",
        "/dataset/nosuch",
        "/dataset/-x",
        "/dataset/a%2Fb",
        "/dataset/a/b%20c",
    ],
)
async def test_what_is_no_dataset_is_none(ckan: Ckan, server: Site, path: str) -> None:
    assert await resolve(ckan, server.url + path) is None


@mark.parametrize("status", [403, 404, 500])
async def test_any_http_error_is_none(ckan: Ckan, server: Site, status: int) -> None:
    server.answers[SHOW] = web.Response(status=status)
    assert await resolve(ckan, f"{server.url}/dataset/sea-turtles") is None


@mark.parametrize(
    ("answer", "message"),
    [
        ({}, "no dataset"),
        ({"result": []}, "no dataset"),
        (package(name="other"), "another dataset"),
        (package(modified="now"), "no time of the last change"),
        (b"<html>", "not JSON"),
    ],
)
async def test_other_answers_are_errors(
    ckan: Ckan, server: Site, answer: dict[str, object], message: str
) -> None:
    server.answers[SHOW] = answer
    with raises(ResolveError, match=message):
        await resolve(ckan, f"{server.url}/dataset/sea-turtles")


async def test_no_visitor_reaches_a_private_address(server: Site) -> None:
    async with tools() as made:
        ckan = Ckan(CkanConfig(), made)
        port = server.host.rpartition(":")[2]
        for host in (
            "127.0.0.1",
            "localhost",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "127.1",
            "2130706433",
            "0.0.0.0",
        ):
            with raises(ResolveError, match=r"not public|could not be reached"):
                await resolve(ckan, f"http://{host}:{port}/dataset/sea-turtles")
        with raises(ResolveError, match=r"^the CKAN site would be at an address that is not public$"):
            await resolve(ckan, f"{server.url}/dataset/sea-turtles")
    assert server.asked == []


async def test_hosts_can_be_listed(server: Site) -> None:
    async with tools() as made:
        listing = Ckan(CkanConfig(hosts=(server.host,), private_addresses=True), made)
        assert await resolve(listing, f"{server.url}/dataset/sea-turtles") is not None
        for other in ("http://data.example.org", "http://127.0.0.1", "http://127.0.0.1:1"):
            with raises(ResolveError, match="where this member does not look"):
                await resolve(listing, f"{other}/dataset/sea-turtles")
        async with site() as elsewhere:
            elsewhere.answers[SHOW] = package()
            server.moved(SHOW, elsewhere.url + SHOW)
            with raises(ResolveError, match="where this member does not look"):
                await resolve(listing, f"{server.url}/dataset/sea-turtles")
            assert elsewhere.asked == []


@mark.parametrize(
    "url",
    [
        "",
        "demo.ckan.org/dataset/x",
        "ftp://demo.ckan.org/dataset/x",
        "file:///dataset/x",
        "https:///dataset/x",
        "https://user@host/dataset/x",
        "https://user:word@host/dataset/x",
        "https://host:99999/dataset/x",
        "https://[x/dataset/x",
        "https://host/dataset/x y",
        "https://host/dataset/x\r\nHost: y",
        "https://host/dataset/x?activity_id=a/../b",
        "https://host/dataset/" + "x" * 3000,
    ],
)
async def test_malformed_specs_reach_nobody(ckan: Ckan, url: str) -> None:
    with raises(SpecError):
        await resolve(ckan, url)


@given(st.text())
def test_a_question_stays_at_the_pages_own_host(text: str) -> None:
    try:
        page = _page(f"https://demo.ckan.org/{text}")
    except SpecError:
        return
    if page is not None:
        question = _question(page)
        assert question.host == "demo.ckan.org"
        assert "/api/3/action/" in question.path
