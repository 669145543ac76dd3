"""What the handlers find in the application, typed. The composition root puts it there."""

from __future__ import annotations

from aiohttp import web

from federation.core.rules import Settings
from federation.service.ports import Clock, Members


class Running:
    """The configuration in force. A reload replaces `settings` whole, so a request sees one version."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


RUNNING = web.AppKey("running", Running)
CLOCK = web.AppKey("clock", Clock)
POOL = web.AppKey("pool", Members)
