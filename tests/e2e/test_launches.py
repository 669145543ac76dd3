"""Launches through the front door of a federation that `up` started."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import aiohttp
import pytest
from local_federation import ROOT, Federation, Launch, builds, kernel, launch, shut_down

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


async def test_a_kernel_of_a_launched_notebook_answers(
    federation: Federation, session: aiohttp.ClientSession
) -> None:
    found = await launch(session, federation.url, federation.example("notebook"))
    async with kernel(session, found.ready) as cell:
        assert await cell.run("1 + 1") == "2"
        assert "BINDER_REQUEST" in await cell.run("import os; sorted(os.environ)")
    await shut_down(session, found.ready)


async def run_launch(federation: Federation, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "federation.cli", "launch", *arguments, "--front-door", federation.url),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_launch_in_a_terminal_prints_the_address_of_a_running_server(
    federation: Federation, session: aiohttp.ClientSession
) -> None:
    spec = federation.example("notebook") + "?urlpath=lab/tree/welcome.ipynb"
    code, out, err = await run_launch(federation, spec)
    assert code == 0, err
    assert "member-" in err
    (address,) = out.split()
    url, token = address.split("?token=")
    base = url.removesuffix("lab/tree/welcome.ipynb")
    assert base != url
    async with kernel(session, {"url": base, "token": token}) as cell:
        assert await cell.run("1 + 1") == "2"
    await shut_down(session, {"url": base, "token": token})


async def test_a_launch_that_cannot_work_says_why_and_fails(federation: Federation) -> None:
    spec = federation.example("notebook").replace("/HEAD", "/no-such-branch")
    code, out, err = await run_launch(federation, spec)
    assert code == 1
    assert out == ""
    assert "Could not resolve ref" in err


async def test_what_one_member_built_the_other_only_fetches(
    federation: Federation, session: aiohttp.ClientSession
) -> None:
    spec = federation.repository("fetched", postBuild="#!/bin/sh\necho made by the build > made.txt\n")
    first = await launch(session, federation.url, spec, member="member-a")
    assert first.members == ["member-a"]
    assert first.built
    second = await launch(session, federation.url, spec, member="member-b")
    assert second.members == ["member-b"]
    assert not second.built
    assert "Found built image, launching...\n" in second.log
    assert first.ready["image"] == second.ready["image"]
    async with kernel(session, second.ready) as cell:
        assert await cell.run("open('made.txt').read()") == r"'made by the build\n'"
    assert await builds(session, federation.members["member-a"], "fetched.git") == 1
    assert await builds(session, federation.members["member-b"], "fetched.git") == 0
    for each in (first, second):
        await shut_down(session, each.ready)


async def test_twenty_launches_of_one_new_commit_make_one_build(
    federation: Federation, session: aiohttp.ClientSession
) -> None:
    script = "#!/bin/sh\necho the build begins; sleep 3; echo the build ends\n"
    spec = federation.repository("crowd", postBuild=script)

    def image_known(event: dict[str, Any]) -> bool:
        return event.get("phase") in ("built", "failed")

    def over(event: dict[str, Any]) -> bool:
        return event.get("phase") in ("ready", "failed")

    # Two visitors stay until their notebook runs; that is about builds, so the others leave after theirs.
    crowd = [
        launch(session, federation.url, spec, until=over if number < 2 else image_known)
        for number in range(20)
    ]
    found: list[Launch] = await asyncio.gather(*crowd)
    for each in found:
        assert "built" in each.phases, each.events[-3:]
        assert each.log.count("the build begins\n") == 1
        assert each.log.count("the build ends\n") == 1
    counted = [await builds(session, member, "crowd.git") for member in federation.members.values()]
    assert sorted(counted) == [0, 1]
    for each in found[:2]:
        await shut_down(session, each.ready)
