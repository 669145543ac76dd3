"""What all pages share: templates, content policy, the site's own address. Knows no launch and no member's
state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from federation.core.model import MemberView
from federation.web.assets import assets
from federation.web.keys import POOL, RUNNING

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src {connect}; "
    "form-action 'self'; base-uri 'none'{framing}"
)


@cache
def templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("federation.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = assets().url
    return environment


def page(
    request: web.Request,
    template: str,
    *,
    status: int = 200,
    connect: Iterable[str] = (),
    framed: bool = False,
    kept: bool = True,
    **values: Any,
) -> web.Response:
    """A page in the house's style.

    `connect` are further origins that the page's scripts may read from; `framed` allows other sites to show
    the page in a frame, as articles do with launch links. What is not `kept` is asked for anew even when a
    browser restores its tabs: it holds what is soon worthless.
    """
    values.setdefault("here", request.path)
    values["site"] = request.app[RUNNING].settings.title
    values["fencing"] = fencing(request.app[POOL].views())
    response = web.Response(
        text=templates().get_template(template).render(values), content_type="text/html", status=status
    )
    response.headers["Content-Security-Policy"] = POLICY.format(
        connect=" ".join(["'self'", *connect]), framing="" if framed else "; frame-ancestors 'none'"
    )
    response.headers["Cache-Control"] = "no-cache" if kept else "no-store"
    response.headers["Vary"] = "Accept-Encoding"
    response.enable_compression()
    return response


def problem(
    request: web.Request, status: int, heading: str, text: str, *, hint: str | None = None
) -> web.Response:
    """An error in the house's style; `hint` is a path that may have been meant."""
    return page(request, "problem.html", status=status, code=status, heading=heading, text=text, hint=hint)


def fencing(views: Sequence[MemberView]) -> str:
    """How far a session is fenced off, where members tell it; the least fenced member has the word."""
    told = {view.member.name: _isolation(view) for view in views}
    bare = [name for name, isolation in told.items() if isolation == "none"]
    if bare:
        return f"Sessions on {' and '.join(bare)} run without a sandbox: launch only what you trust."
    if "bubblewrap" in told.values():
        return "Each session runs in a bubblewrap sandbox: good for repositories that you half trust."
    return ""


def _isolation(view: MemberView) -> object:
    info = view.versions.get("builder_info")
    return info.get("isolation") if isinstance(info, Mapping) else None


def public_base(request: web.Request) -> str:
    """The front door's own address without trailing slash, as visitors type it."""
    return request.app[RUNNING].settings.public_url or f"{request.scheme}://{request.host}"


def origin(url: str) -> str:
    """Scheme, host and port of a URL, as a Content-Security-Policy names it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
