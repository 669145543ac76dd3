"""The operators' console and its launch tester, put into an application. Holds no logic of its own."""

from __future__ import annotations

from aiohttp import web

from federation.web import launch_test, operator


def add_console(app: web.Application) -> None:
    """What tests launches, `launch_test.TESTS`, comes with the launches themselves."""
    app[operator.WRONG] = operator.WrongTokens()
    app.add_routes([*launch_test.routes(), *operator.routes()])
