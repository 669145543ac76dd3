"""The three providers of DOIs."""

from collections.abc import AsyncIterator

from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from pytest import fixture, mark, raises
from sites import Site, site, tools

from members.core.imagename import image_name
from members.core.model import Resolved, ResolveError, SpecError
from members.providers.dataverse import Dataverse, DataverseConfig
from members.providers.doi import checked_doi
from members.providers.figshare import Figshare, FigshareConfig
from members.providers.zenodo import Zenodo, ZenodoConfig


@fixture
async def doi() -> AsyncIterator[Site]:
    async with site() as made:
        yield made


@fixture
async def landing() -> AsyncIterator[Site]:
    """Where DOIs lead to, which has an API too."""
    async with site() as made:
        yield made


def facts(found: Resolved | None) -> tuple[str, ...]:
    assert found is not None
    assert not found.is_git
    return found.repo_url, found.ref, found.ref_url, found.resolved_spec, found.build_slug


# Zenodo


@fixture
async def zenodo(doi: Site, landing: Site) -> AsyncIterator[Zenodo]:
    doi.moved("/10.5281/zenodo.3242074", f"{landing.url}/doi/10.5281/zenodo.3242074")
    doi.moved("/10.5281/zenodo.3242073", f"{landing.url}/record/3242073", 301)
    landing.moved("/doi/10.5281/zenodo.3242074", "/records/3242074")
    landing.moved("/record/3242073", f"{landing.url}/records/3242074", 301)
    landing.answers["/records/3242074"] = b"<html>"
    async with tools() as made:
        yield Zenodo(ZenodoConfig(doi_url=doi.url, hosts=(landing.host,)), made)


@mark.parametrize("number", ["3242074", "3242073"])
async def test_zenodo_finds_the_newest_version(zenodo: Zenodo, doi: Site, number: str) -> None:
    spec = f"10.5281/zenodo.{number}"
    newest = "10.5281/zenodo.3242074"
    found = await zenodo.resolve(spec)
    assert facts(found) == (spec, "3242074", f"https://doi.org/{newest}", newest, "zenodo-3242074")
    assert found is not None
    assert image_name("", found.build_slug, found.ref) == "zenodo-2d3242074-b993d2:3242074"
    assert doi.asked[0].headers["User-Agent"] == "BinderHub"


async def test_zenodo_takes_an_encoded_doi_and_any_case(zenodo: Zenodo, doi: Site) -> None:
    doi.moved("/10.5281/ZENODO.3242074", doi.answers["/10.5281/zenodo.3242074"].headers["Location"])  # type: ignore[union-attr]
    for spec in ("10.5281%2Fzenodo.3242074", "10.5281/ZENODO.3242074"):
        found = await zenodo.resolve(spec)
        assert found is not None
        assert found.resolved_spec == "10.5281/zenodo.3242074"


async def test_a_doi_of_a_site_that_runs_zenodos_software_stays_as_it_is(
    zenodo: Zenodo, doi: Site, landing: Site
) -> None:
    doi.moved("/10.22002/D1.1259", f"{landing.url}/records/1259")
    landing.answers["/records/1259"] = b""
    found = await zenodo.resolve("10.22002/D1.1259")
    assert found is not None
    assert (found.ref, found.resolved_spec) == ("1259", "10.22002/D1.1259")


@mark.parametrize(
    ("location", "message"),
    [
        ("{landing}/communities/3242074", "leads to no record"),
        ("{landing}/records/", "leads to no record"),
        ("{landing}/records/..%2f3", "leads to no record"),
        ("{landing}/records/gone", "HTTP 404: Not Found"),
        ("http://169.254.169.254/records/1", "leads to 169.254.169.254, where this member does not look"),
        ("http://localhost:1/records/1", "leads to localhost:1, where"),
        ("https://evil.example.org/records/3242074", "leads to evil.example.org, where"),
        ("https://zenodo.org@evil.example.org/records/1", "not on the web"),
        ("file:///records/1", "not on the web"),
        ("http://[x/records/1", "no URL"),
    ],
)
async def test_zenodo_goes_nowhere_else(
    zenodo: Zenodo, doi: Site, landing: Site, location: str, message: str
) -> None:
    landing.answers["/communities/3242074"] = landing.answers["/records/"] = b""
    landing.answers["/records/..%2f3"] = landing.answers["/records/..%2F3"] = b""
    doi.moved("/10.9999/x", location.format(landing=landing.url))
    with raises(ResolveError, match=message):
        await zenodo.resolve("10.9999/x")


async def test_an_unknown_doi_is_an_error(zenodo: Zenodo) -> None:
    with raises(ResolveError, match=r"^HTTP 404: Not Found$"):
        await zenodo.resolve("10.5281/zenodo.1")


# figshare


@fixture
async def figshare(doi: Site, landing: Site) -> AsyncIterator[Figshare]:
    for name in ("9782777", "9782777.v1"):
        doi.moved(f"/10.6084/m9.figshare.{name}", f"{landing.url}/articles/code/Some_title/9782777/1")
    landing.answers["/v2/articles/9782777/versions"] = [{"version": 2}, {"version": 11}, {"version": 3}]
    async with tools() as made:
        config = FigshareConfig(doi_url=doi.url, hosts=(landing.host,), api_url=f"{landing.url}/v2")
        yield Figshare(config, made)


@mark.parametrize(("given_", "ref"), [("9782777.v1", "9782777.v1"), ("9782777", "9782777.v11")])
async def test_figshare_takes_the_version_or_the_newest(
    figshare: Figshare, landing: Site, given_: str, ref: str
) -> None:
    spec, resolved = f"10.6084/m9.figshare.{given_}", f"10.6084/m9.figshare.{ref}"
    assert facts(await figshare.resolve(spec)) == (
        spec,
        ref,
        f"https://doi.org/{resolved}",
        resolved,
        f"figshare-{ref}",
    )
    assert landing.paths == ([] if given_ == ref else ["/v2/articles/9782777/versions"])


@mark.parametrize(
    ("location", "message"),
    [
        ("https://zenodo.org/records/9782777", "leads to zenodo.org, where this member does not look"),
        ("{landing}/articles/code/Some_title/666/1", "does not lead to the article 9782777"),
        ("{landing}/articles/code/9782777x/1", "does not lead to the article 9782777"),
    ],
)
async def test_figshare_needs_the_article_itself(
    figshare: Figshare, doi: Site, landing: Site, location: str, message: str
) -> None:
    """Else the contents of another site or article would get this article's image name."""
    doi.moved("/10.9999/9782777", location.format(landing=landing.url))
    with raises(ResolveError, match=message):
        await figshare.resolve("10.9999/9782777")


async def test_figshare_needs_a_doi_that_resolves(figshare: Figshare, doi: Site) -> None:
    with raises(ResolveError, match="HTTP 404"):
        await figshare.resolve("10.6084/m9.figshare.1")
    doi.answers["/10.6084/m9.figshare.2"] = b"a page"
    with raises(ResolveError, match="leads nowhere"):
        await figshare.resolve("10.6084/m9.figshare.2")
    with raises(SpecError, match="names no article"):
        await figshare.resolve("10.6084/m9.figshare")


@mark.parametrize("body", [[], {}, [5], [{"version": "3"}], [{"version": True}], [{"version": -1}], b"x"])
async def test_figshares_answers_that_make_no_sense(figshare: Figshare, landing: Site, body: bytes) -> None:
    landing.answers["/v2/articles/9782777/versions"] = body
    with raises(ResolveError, match="Figshare's answer"):
        await figshare.resolve("10.6084/m9.figshare.9782777")


# Dataverse


SPEC = "10.7910/DVN/TJCLKP"
QUERY = "?persistentId=doi:10.7910/DVN/TJCLKP"
API = "/api/datasets/:persistentId" + QUERY


def dataset(**changes: object) -> dict[str, object]:
    data: dict[str, object] = {
        "id": 3035124,
        "protocol": "doi",
        "authority": "10.7910",
        "identifier": "DVN/TJCLKP",
        "persistentUrl": "https://doi.org/10.7910/DVN/TJCLKP",
        "latestVersion": {"versionNumber": 3, "versionMinorNumber": 0},
    }
    return {"status": "OK", "data": data | changes}


@fixture
async def dataverse(doi: Site, landing: Site) -> AsyncIterator[Dataverse]:
    doi.moved(f"/{SPEC}", f"{landing.url}/citation{QUERY}")
    landing.answers[API] = dataset()
    async with tools() as made:
        yield Dataverse(DataverseConfig(doi_url=doi.url, private_addresses=True), made)


async def test_dataverse_tells_the_newest_version(dataverse: Dataverse, landing: Site) -> None:
    assert facts(await dataverse.resolve(SPEC)) == (
        SPEC,
        "3035124.v3.0",
        f"https://doi.org/{SPEC}",
        SPEC,
        "dataverse-dvn-2ftjclkp",
    )
    assert landing.paths == [API]


async def test_dataverse_follows_until_the_dataset_is_named(
    dataverse: Dataverse, doi: Site, landing: Site
) -> None:
    doi.moved(f"/{SPEC}", f"{landing.url}/old/1")
    landing.moved("/old/1", f"/dataset.xhtml{QUERY}")
    landing.answers[f"/dataset.xhtml{QUERY}"] = b"<html>"
    found = await dataverse.resolve(SPEC)
    assert found is not None
    assert found.ref == "3035124.v3.0"


async def test_a_doi_leads_to_no_private_address(doi: Site, landing: Site) -> None:
    doi.moved(f"/{SPEC}", f"{landing.url}/citation{QUERY}")
    landing.answers[API] = dataset()
    async with tools() as made:
        with raises(ResolveError, match=r"^the Dataverse would be at an address that is not public$"):
            await Dataverse(DataverseConfig(doi_url=doi.url), made).resolve(SPEC)
    assert landing.asked == []


async def test_a_doi_leads_only_to_the_hosts_that_are_listed(doi: Site, landing: Site) -> None:
    doi.moved(f"/{SPEC}", f"{landing.url}/citation{QUERY}")
    config = DataverseConfig(doi_url=doi.url, hosts=("dataverse.example.org",), private_addresses=True)
    async with tools() as made:
        with raises(ResolveError, match=f"leads to {landing.host}, where this member does not look"):
            await Dataverse(config, made).resolve(SPEC)
    assert landing.asked == []


@mark.parametrize(
    ("answer", "message"),
    [
        (dataset(identifier="DVN/OTHER"), "another dataset"),
        (dataset(authority="10.9999"), "another dataset"),
        (dataset(latestVersion={}), "no published version"),
        (dataset(id="3"), "no published version"),
        (dataset(id=-3), "no usable version"),
        (dataset(id=10**50), "no usable version"),
        ({"status": "ERROR"}, "no published version"),
        ([], "no published version"),
        (b"<html>", "not JSON"),
        (web.Response(status=401), "HTTP 401"),
    ],
)
async def test_dataverses_answers_that_make_no_sense(
    dataverse: Dataverse, landing: Site, answer: dict[str, object], message: str
) -> None:
    landing.answers[API] = answer
    with raises(ResolveError, match=message):
        await dataverse.resolve(SPEC)


@mark.parametrize("url", ["javascript:alert(1)", "//x", None, 5, 'https://x/"onclick'])
async def test_a_page_that_is_none_is_not_shown(dataverse: Dataverse, landing: Site, url: object) -> None:
    landing.answers[API] = dataset(persistentUrl=url)
    found = await dataverse.resolve(SPEC)
    assert found is not None
    assert found.ref_url == f"https://doi.org/{SPEC}"


# All three


@mark.parametrize(
    "spec",
    [
        "",
        "10.5281",
        "10.5281/",
        "zenodo.3242074",
        "https://doi.org/10.5281/zenodo.3242074",
        "10.5281/../../x",
        "10.5281/a//b",
        "10.5281/zenodo.1?x=y",
        "10.5281/zenodo.1#x",
        "10.5281/%2e%2e/x",
        "10.5281/a%00",
        "10.5281/a%0d%0aHost:x",
        "10.5281/a\\b",
        "10.5281/" + "1" * 3000,
        "@evil.example.org/x",
    ],
)
async def test_what_is_no_doi_reaches_nobody(
    zenodo: Zenodo, figshare: Figshare, dataverse: Dataverse, doi: Site, spec: str
) -> None:
    for provider in (zenodo, figshare, dataverse):
        with raises(SpecError):
            await provider.resolve(spec)
    assert doi.asked == []


@given(st.text())
def test_a_doi_never_changes_where_it_is_asked(text: str) -> None:
    try:
        name = checked_doi(f"10.5281/{text}", "x")
    except SpecError:
        return
    assert name.startswith("10.5281/")
    assert not set(name) & set("?#%@\\ \r\n")
    assert not {"", ".", ".."} & set(name.split("/"))
