"""The incidents as a feed for readers: Atom (M. Nottingham, R. Sayre, "The Atom Syndication Format", RFC 4287, 2005).
Changes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from aiohttp import web

from federation.core.incident import Incident
from federation.core.told import text
from federation.web.cors import CORS, open_to_all
from federation.web.house import public_base
from federation.web.incidents import CAUSES, INCIDENTS, launches
from federation.web.keys import RUNNING
from federation.web.words import iso, moment

ATOM = "http://www.w3.org/2005/Atom"
MOST = 50  # entries
PATH = "/status/feed.atom"


async def feed(request: web.Request) -> web.Response:
    incidents = request.app[INCIDENTS]
    title = request.app[RUNNING].settings.title
    body = document(incidents.all()[:MOST], text(title), public_base(request), incidents.since)
    tag = hashlib.sha256(body).hexdigest()[:32]
    headers = {**CORS, "Cache-Control": "no-cache", "ETag": f'"{tag}"'}
    known = request.if_none_match or ()
    if any(one.value in (tag, "*") for one in known):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type="application/atom+xml", charset="utf-8", headers=headers)


def document(incidents: Sequence[Incident], title: str, base: str, since: float) -> bytes:
    """The feed of these incidents, the latest first. `since` stands for the last change when there is none."""
    Xml.register_namespace("", ATOM)
    root = Xml.Element(f"{{{ATOM}}}feed")
    _add(root, "id", f"{base}{PATH}")
    _add(root, "title", f"{title}: incidents")
    _add(root, "updated", iso(max((one.updated for one in incidents), default=since)))
    _add(_add(root, "author"), "name", title)
    _add(root, "link", rel="self", type="application/atom+xml", href=f"{base}{PATH}")
    _add(root, "link", rel="alternate", type="text/html", href=f"{base}/status")
    for one in incidents:
        _entry(_add(root, "entry"), one, base)
    return bytes(Xml.tostring(root, encoding="utf-8", xml_declaration=True))


def _entry(entry: Xml.Element, one: Incident, base: str) -> None:
    address = f"{base}/federation/v1/incidents/{one.id}"
    _add(entry, "id", address)
    _add(entry, "title", one.title if one.closed is None else f"{one.title} (over)")
    _add(entry, "published", iso(one.opened))
    _add(entry, "updated", iso(one.updated))
    _add(entry, "category", term=one.kind.value)
    _add(entry, "link", rel="alternate", type="text/html", href=f"{base}/status#incident-{one.id}")
    _add(entry, "link", rel="related", type="text/markdown", href=f"{address}/report")
    _add(entry, "summary", f"{launches(one)} The cause seems to be: {CAUSES[one.cause]}.", type="text")
    story = "\n".join(f"{moment(note.at)}: {note.text}" for note in one.story)
    _add(entry, "content", story, type="text")


def _add(parent: Xml.Element, name: str, words: str | None = None, **attributes: str) -> Xml.Element:
    element = Xml.SubElement(parent, f"{{{ATOM}}}{name}", attributes)
    element.text = words
    return element


def routes() -> list[web.RouteDef]:
    return open_to_all(PATH, feed)
