"""The pages a visitor sees before a notebook: start page, launch page, about, and the errors in between.

Served from the front door alone, so they work while every member is down. The launch itself is followed by
the page's script on `/build/…`; nothing here starts one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from aiohttp import web
from yarl import URL

from federation.core.errors import LaunchError
from federation.core.launchkey import parse_launch
from federation.core.links import Link, NotALink, launch_path, read_link, read_spec, web_url
from federation.core.model import Launch
from federation.core.providers import BY_ID, PROVIDERS
from federation.core.rules import Mode, Settings
from federation.core.target import UnsafeTarget, server_target
from federation.web import archive, assets, tokens
from federation.web.cors import CORS, open_to_all
from federation.web.house import origin, page, problem, public_base
from federation.web.keys import POOL, RUNNING

STEPS = (
    ("waiting", "Waiting", "for a member to begin"),
    ("building", "Building", "the environment, from the repository’s own files"),
    ("pushing", "Storing", "the image, so that the next launch is quick"),
    ("launching", "Launching", "a server for you"),
    ("ready", "Ready", "off to the notebook"),
)
FIELDS = ("link", "provider", "repo", "ref", "path", "opens")
ROBOTS = "User-agent: *\nDisallow: /build/\nDisallow: /v2/\nDisallow: /repo/\nDisallow: /launch\n"


def settings_of(request: web.Request) -> Settings:
    return request.app[RUNNING].settings


async def home(request: web.Request) -> web.Response:
    """The start page; what its form sent is filled in again, with the link and badge that it makes."""
    return start_page(request, form_of(request))


async def go(request: web.Request) -> web.Response:
    """Where the form of the start page leads without JavaScript: to the launch, or back with the error."""
    form = form_of(request)
    try:
        path = launch_path(asked(form, settings_of(request)))
    except NotALink as error:
        return start_page(request, form, str(error))
    raise web.HTTPSeeOther(URL(path, encoded=True))


def form_of(request: web.Request) -> dict[str, str]:
    form = {name: request.query.get(name, "").strip() for name in FIELDS}
    form["provider"] = form["provider"] or next(iter(settings_of(request).providers), "")
    form["opens"] = form["opens"] or "file"
    return form


def asked(form: Mapping[str, str], settings: Settings) -> Link:
    """The launch that the form names: by its fields if a repository was typed there, else by the pasted text.

    Raises NotALink.
    """
    if not form["repo"]:
        return read_link(form["link"], settings.providers)
    provider, repo = form["provider"], form["repo"]
    if provider not in settings.providers:
        raise NotALink("Choose one of the providers in the list.")
    link = Link(provider, repo, form["ref"], form["path"], "file" if form["opens"] == "file" else "url")
    launchable(provider, launch_path(link).split("/", 3)[3].partition("?")[0])
    return link


def launchable(provider: str, spec: str) -> Link:
    """A raw spec as a person would say it, if `/build/…` would take it. Raises NotALink."""
    link = read_spec(provider, spec)
    try:
        parse_launch(f"/build/{provider}/{spec}")
    except LaunchError as error:
        raise NotALink(f"{error.message}.") from error
    return link


def start_page(request: web.Request, form: Mapping[str, str], error: str = "") -> web.Response:
    settings = settings_of(request)
    base = public_base(request)
    launch, share = None, {}
    if not error and (form["repo"] or form["link"]):
        try:
            launch = launch_path(asked(form, settings))
            share = shared(base, launch)
        except NotALink as found:
            error = str(found)
    return page(
        request,
        "home.html",
        status=400 if error and request.path != "/" else 200,
        here="/",
        base=base,
        form=form,
        error=error,
        launch=launch,
        share=share,
        suggestions=[
            {
                "title": one.title,
                "text": one.text,
                "href": launch_path(Link(one.provider, one.repo, one.ref, one.urlpath)),
            }
            for one in settings.suggestions
        ],
        providers={
            "known": [dict(row.display) for row in PROVIDERS],
            "offered": [dict(BY_ID[id].display) for id in settings.providers],
        },
        members_sentence=members_sentence(len(request.app[POOL].views())),
    )


def shared(base: str, launch: str) -> dict[str, str]:
    """A launch link and its badge, in the markups that READMEs are written in."""
    link, badge = base + launch, f"{base}/badge_logo.svg"
    return {
        "share-link": link,
        "share-md": f"[![Binder]({badge})]({link})",
        "share-rst": f".. image:: {badge}\n :target: {link}",
        "share-html": f'<a href="{link}"><img src="{badge}" alt="launch binder"></a>',
    }


def members_sentence(count: int) -> str:
    return "A member of this federation" if count < 2 else f"One of {count} members of this federation"


async def launch(request: web.Request) -> web.Response:
    """The page that follows one launch. Opening it starts nothing until its script runs."""
    provider, spec = request.rel_url.raw_path.split("/", 3)[2:]
    settings = settings_of(request)
    if provider not in settings.providers:
        offered = ", ".join(settings.providers)
        text = f"“{provider}” is no kind of repository that this site launches. It knows: {offered}."
        return problem(request, 404, "Unknown provider", text)
    try:
        shown = launchable(provider, spec)
    except NotALink as error:
        return problem(
            request, 400, "This launch link cannot be used", str(error), hint=meant(provider, spec)
        )
    members = request.app[POOL].views() if settings.launch.mode is Mode.REDIRECT else ()
    return page(
        request,
        "launch.html",
        # In redirect mode the stream comes from a member, and the policy looks at that address too.
        connect=sorted({origin(view.member.url) for view in members}),
        framed=True,
        kept=False,  # its build token
        base=public_base(request),
        build=build_address(request, parse_launch(f"/build/{provider}/{spec}")),
        spec=spec,
        here_spec=f"{provider}/{spec}",
        here_link=public_base(request) + request.rel_url.raw_path_qs,
        shown=shown,
        provider_name=BY_ID[provider].display["displayName"],
        web_url=web_url(shown),
        refused=refused_path(request),
        steps=STEPS,
    )


def build_address(request: web.Request, launch: Launch) -> str:
    """Where the page's script follows the launch, with a build token made for it."""
    query = {"member": request.query.get("member"), tokens.PARAMETER: tokens.page_token(request, launch)}
    told = {name: value for name, value in query.items() if value}
    return str(URL(launch.path, encoded=True).with_query(told))


def refused_path(request: web.Request) -> str:
    """Why the path that the link asks for will not be opened; empty when it will."""
    wanted = {key: request.query.get(key, "") for key in ("urlpath", "labpath", "filepath")}
    try:
        server_target("https://server/", "", **wanted)
    except UnsafeTarget as error:
        return str(error)
    return ""


def meant(provider: str, spec: str) -> str | None:
    """The path of a whole link that an incomplete one probably stands for."""
    for text in (f"/v2/{provider}/{spec}", spec):
        try:
            link = read_link(text, [provider])
            launchable(provider, launch_path(link).split("/", 3)[3].partition("?")[0])
        except NotALink:
            continue
        return launch_path(link)
    return None


async def repo(request: web.Request) -> NoReturn:
    """Binder's first links: `/repo/{user}/{repo}/tail` opens the tail of the repository's master branch."""
    user, name = request.match_info["user"], request.match_info["repo"]
    path = launch_path(Link("gh", f"{user}/{name}", "master", request.match_info["tail"]))
    raise web.HTTPFound(URL(path, encoded=True))


async def providers(request: web.Request) -> web.Response:
    """Which kinds of repository can be launched, in BinderHub's own shape."""
    rows: list[Any] = [dict(BY_ID[id].display) for id in settings_of(request).providers]
    return web.json_response(rows, headers=CORS)


async def about(request: web.Request) -> web.Response:
    return page(
        request,
        "about.html",
        members=[view.member.name for view in request.app[POOL].views()],
        relay=settings_of(request).launch.mode is Mode.RELAY,
        archive=archive.folder_served(request) is not None,
    )


async def robots(request: web.Request) -> web.Response:
    return web.Response(text=ROBOTS)


async def missing(request: web.Request) -> web.Response:
    """A page for people; programs get the plain error that all of the front door's addresses have."""
    if "text/html" not in request.headers.get("Accept", ""):
        raise web.HTTPNotFound
    return problem(
        request, 404, "There is nothing here", "The address may be mistyped, or the page has moved."
    )


def routes() -> list[web.RouteDef]:
    """All pages. The last route takes every GET that no other route of the application takes."""
    return [
        web.get("/", home),
        web.get("/launch", go),
        web.get("/v2/{provider}/{spec:.+}", launch),
        web.get("/repo/{user}/{repo}{tail:(/.*)?}", repo),
        *open_to_all("/api/repoproviders", providers),
        web.get("/about", about),
        web.get("/robots.txt", robots),
        *assets.routes(),
        web.get("/{missing:.*}", missing),
    ]
