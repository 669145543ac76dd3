"""The member's HTML pages: what BinderHub's clients and monitors read in them, and what must not be in them."""

import base64
import hashlib
import html
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer
from member_fakes import Listener
from pytest import fixture, mark
from test_member_build import Told, make_app
from yarl import URL

from members.web.gate import Gate
from members.web.shell import script_json
from members.web.tokens import BuildTokens

KEYS = [
    "baseUrl",
    "badgeBaseUrl",
    "logoUrl",
    "logoWidth",
    "repoProviders",
    "aboutMessage",
    "bannerHtml",
    "binderVersion",
]
HOSTILE = "</script><script>alert(1)</script>"


@fixture
async def server() -> AsyncIterator[TestServer]:
    gate = Gate(tokens=BuildTokens(bytes(32)))
    async with TestServer(make_app(Told(), Listener(), gate, base_url="/b/")) as running:
        yield running


@fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def text_of(server: TestServer, http: aiohttp.ClientSession, path: str) -> tuple[str, str]:
    """A page and its content policy."""
    url = URL(f"http://{server.host}:{server.port}{path}", encoded=True)
    async with http.get(url) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        return await answer.text(), answer.headers["Content-Security-Policy"]


def config_of(text: str) -> dict[str, Any]:
    """As clients find it: the first script of the head, which is this one assignment."""
    script = re.search(r"<script[^>]*>(.*?)</script>", text.partition("</head>")[0], re.DOTALL)
    assert script is not None
    assert script[1].startswith("window.pageConfig = ") and script[1].endswith(";")
    config: dict[str, Any] = json.loads(script[1].removeprefix("window.pageConfig = ").removesuffix(";"))
    return config


@mark.parametrize("path", ["/b/", "/b/about", "/b/build/gh", "/b/nosuch", "/b/v2/nosuch/a/b", "/b/v2/gh"])
async def test_every_page_is_the_shell(server: TestServer, http: aiohttp.ClientSession, path: str) -> None:
    text, _ = await text_of(server, http, path)
    assert '<div id="root"></div>' in text
    assert "<title>member-a" in text
    assert "GitHub" in text
    assert "none: &lt;plain&gt;" in text
    config = config_of(text)
    assert list(config) == KEYS
    assert (config["baseUrl"], config["logoWidth"], config["binderVersion"]) == ("/b/", "320px", "1")
    assert config["badgeBaseUrl"] == f"http://{server.host}:{server.port}/b/"
    assert config["repoProviders"] == [{"displayName": "GitHub", "id": "gh"}]


@mark.parametrize("spec", ["user/repo/HEAD", "no-ref", "user/repo/a%2Fb%20c", "x/%22%3E%3Cb%3E/y"])
async def test_a_launch_page_has_a_token_and_says_what_it_launches(
    server: TestServer, http: aiohttp.ClientSession, spec: str
) -> None:
    text, _ = await text_of(server, http, f"/b/v2/gh/{spec}?urlpath=x")
    assert '<div id="root"></div>' in text
    assert list(config_of(text)) == ["buildToken", *KEYS]
    assert f'<meta property="og:title" content="{html.escape(f"GitHub: {spec}")}">' in text
    assert (
        f'<meta property="og:image" content="http://{server.host}:{server.port}/b/logo_social.png">' in text
    )
    assert "<b>" not in text


async def test_the_default_title_is_the_members(server: TestServer, http: aiohttp.ClientSession) -> None:
    text, _ = await text_of(server, http, "/b/")
    assert '<meta property="og:title" content="member-a: a Binder member">' in text


async def test_only_the_scripts_of_the_house_run(server: TestServer, http: aiohttp.ClientSession) -> None:
    for path, framed in (("/b/", False), ("/b/v2/gh/u/r/HEAD", True)):
        text, policy = await text_of(server, http, path)
        script = re.search(r"<script>(.*?)</script>", text)
        assert script is not None
        digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
        assert f"script-src 'self' 'sha256-{digest}';" in policy
        assert "unsafe" not in policy
        assert ("frame-ancestors 'none'" in policy) is not framed


async def test_pages_with_tokens_are_not_kept(server: TestServer, http: aiohttp.ClientSession) -> None:
    async with http.get(server.make_url("/b/v2/gh/u/r/HEAD")) as answer:
        assert answer.headers["Cache-Control"] == "no-store"


async def test_nothing_in_the_configuration_ends_the_script(http: aiohttp.ClientSession) -> None:
    providers = ({"displayName": HOSTILE, "id": "gh"},)
    app = make_app(Told(), Listener(), Gate(), name=HOSTILE, providers=providers)
    async with TestServer(app) as server:
        for path in ("/", "/v2/gh/u/r/HEAD"):
            text, _ = await text_of(server, http, path)
            assert "<script>alert" not in text
            assert config_of(text)["repoProviders"][0]["displayName"] == HOSTILE
            assert "buildToken" not in text


@mark.parametrize("value", ["</script>", "<!--", "]]>", "\u2028\u2029", "&lt;", "'\"\\"])
def test_script_json_is_json_and_harmless(value: str) -> None:
    text = script_json({value: value})
    assert json.loads(text) == {value: value}
    assert not re.search(r"[<>&]|[^\x20-\x7e]", text)


async def test_static_files_are_kept_when_their_name_says_which(
    server: TestServer, http: aiohttp.ClientSession
) -> None:
    text, _ = await text_of(server, http, "/b/v2/gh/u/r/HEAD")
    named = re.findall(r'(?:href|src)="(/b/static/[^"]+)"', text)
    assert {name.partition("?")[0].rpartition("/")[2] for name in named} == {
        "member.css",
        "launch.js",
        "mark.svg",
    }
    for path in named:
        async with http.get(server.make_url(path)) as answer:
            assert (answer.status, answer.headers["Cache-Control"]) == (
                200,
                "public, max-age=31536000, immutable",
            )
    for path in ("/b/static/launch.js", "/b/static/target.js?v=other"):
        async with http.get(server.make_url(path)) as answer:
            assert answer.headers["Cache-Control"] == "no-cache"
            assert answer.content_type == "text/javascript"
    for path in ("/b/static/", "/b/static/../shell.py", "/b/static/%2e%2e/shell.py", "/b/static/nosuch.js"):
        url = URL(f"http://{server.host}:{server.port}{path}", encoded=True)
        assert (await http.get(url)).status == 404 or "/static/" not in url.raw_path
