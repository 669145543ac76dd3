from collections.abc import AsyncIterator
from urllib.parse import quote

from aiohttp import web
from pytest import fixture, mark, raises
from sites import Site, site, tools

from members.core.model import ResolveError, SpecError
from members.providers.hydroshare import Hydroshare, HydroshareConfig

ID = "142c59757ed54de1816777828c9716e7"
PAGE = f"https://www.hydroshare.org/resource/{ID}"
ELEMENTS = f"/resource/{ID}/scimeta/elements"


@fixture
async def api() -> AsyncIterator[Site]:
    async with site() as made:
        made.answers[ELEMENTS] = {
            "dates": [
                {"type": "created", "start_date": "2018-01-01T00:00:00Z"},
                {"type": "modified", "start_date": "2019-09-25T16:09:17.006152Z"},
            ]
        }
        yield made


@fixture
async def hydroshare(api: Site) -> AsyncIterator[Hydroshare]:
    async with tools() as made:
        yield Hydroshare(HydroshareConfig(api_url=api.url), made)


@mark.parametrize("spec", [ID, quote(PAGE, safe=""), PAGE, f"10.4211%2Fhs.{ID}", f"{'0' * 32}/{ID}"])
async def test_a_resource_becomes_the_time_of_its_last_change(
    hydroshare: Hydroshare, api: Site, spec: str
) -> None:
    found = await hydroshare.resolve(spec)
    assert found is not None
    assert (found.repo_url, found.ref_url, found.resolved_spec) == (PAGE, PAGE, PAGE)
    assert found.ref == f"{ID}.v1569427757"
    assert found.build_slug == f"hydroshare-{ID}.v1569427757"
    assert not found.is_git
    assert api.asked[0].headers["User-Agent"] == "BinderHub"


@mark.parametrize(
    ("answer", "message"),
    [
        ({}, "no time of the last change"),
        ({"dates": [{"type": "created"}]}, "no time of the last change"),
        ({"dates": [{"type": "modified"}]}, "no time of the last change"),
        ({"dates": [{"type": "modified", "start_date": "yesterday"}]}, "no time of the last change"),
        ({"dates": 5}, "no time of the last change"),
        (b"<html>", "not JSON"),
        (web.Response(status=404), "HTTP 404"),
        (web.Response(status=403), "HTTP 403"),
    ],
)
async def test_other_answers_are_errors(
    hydroshare: Hydroshare, api: Site, answer: dict[str, object], message: str
) -> None:
    api.answers[ELEMENTS] = answer
    with raises(ResolveError, match=message):
        await hydroshare.resolve(ID)


@mark.parametrize("spec", ["", "x", ID[1:], ID.upper(), "a" * 3000])
async def test_malformed_specs_reach_nobody(hydroshare: Hydroshare, api: Site, spec: str) -> None:
    with raises(SpecError):
        await hydroshare.resolve(spec)
    assert api.asked == []
