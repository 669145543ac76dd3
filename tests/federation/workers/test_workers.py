"""`serve --workers 2`: real processes, real members. They answer as one front door, and lose nothing when one goes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import web
from crew_stage import EVENTS, Crew, KeptConnection, configured, gone, loaded
from door_stage import READY, SPEC, SUCCESS, StockMember, event, until

pytestmark = pytest.mark.integration


async def slow(request: web.Request, response: web.StreamResponse) -> None:
    """A launch that takes a while, as they do."""
    await response.write(event(phase="building", message="Step 1\n"))
    await asyncio.sleep(0.4)
    await SUCCESS(request, response)


def counted(metrics: str, name: str) -> float:
    """The sum of a series over all its labels."""
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", metrics, re.MULTILINE))


async def archived(crew: Crew, launches: int) -> list[dict[str, Any]]:
    """The lines of the newest file of the archive, when there are so many."""
    async with asyncio.timeout(10):
        while True:
            files = [json.loads(file) for file in (await crew.text("/archive/index.jsonl")).splitlines()]
            lines = (await crew.text(f"/archive/{files[-1]['name']}")).splitlines() if files else []
            if len(lines) >= launches:
                return [json.loads(line) for line in lines]
            await asyncio.sleep(0.05)


async def test_workers_answer_as_one_front_door(tmp_path: Path) -> None:
    async with StockMember("alpha") as alpha, StockMember("beta") as beta:
        crew = Crew(tmp_path)
        crew.configure(configured(alpha))
        async with crew:
            one, two = crew.pids()
            for pid in (one, two, two):
                with crew.alone(pid):
                    told = await crew.launch()
                assert told.last["phase"] == "ready"
                assert re.search(rb"id: ([0-9a-f]{6})", told.body)[1].decode() == crew.mark(pid)

            async with asyncio.timeout(10):
                while counted(await crew.text("/metrics"), "federation_launches_total") < 3:
                    await asyncio.sleep(0.05)
            for pid in (one, two):  # both tell the same, of all three launches
                with crew.alone(pid):
                    metrics, decisions = (
                        await crew.text("/metrics"),
                        await crew.json("/federation/v1/decisions"),
                    )
                assert counted(metrics, "federation_launches_total") == 3
                assert counted(metrics, "federation_redirect_count") == 3
                assert 'federation_workers{state="serving"} 2.0' in metrics
                assert 'federation_workers{state="wanted"} 2.0' in metrics
                assert [launch["id"] for launch in decisions["decisions"]] == [3, 2, 1]
                assert {launch["outcome"] for launch in decisions["decisions"]} == {"ready"}
                with crew.alone(pid):
                    kept = await archived(crew, 3)
                assert [launch["outcome"] for launch in kept] == ["ready"] * 3

            crew.configure(configured(alpha, beta), title="Edited")
            await crew.until(lambda told: told == [["alpha", "beta"]] * 2)
            for pid in (one, two):
                with crew.alone(pid):
                    assert "Edited" in await crew.text("/status")
                    assert "Edited: incidents" in await crew.text("/status/feed.atom")
                    assert '"status"' in await crew.text("/status.json")
            assert crew.pids() == [one, two]


async def test_a_killed_worker_is_replaced_and_the_others_answer(tmp_path: Path) -> None:
    async with StockMember("alpha", slow) as alpha:
        crew = Crew(tmp_path)
        crew.configure(configured(alpha))
        async with crew:
            victim, other = crew.pids()
            with crew.alone(victim):
                async with crew.ask(SPEC, headers=EVENTS) as answer:
                    await answer.content.readuntil(b"Step 1")
                    async with loaded(crew) as load:
                        await asyncio.sleep(0.5)
                        os.kill(other, signal.SIGCONT)
                        os.kill(victim, signal.SIGKILL)
                        at_the_kill = load.good + len(load.bad)
                        await until(lambda: len(crew.pids()) == 2 and victim not in crew.pids(), 20)
                        await asyncio.sleep(1)
            # Launches of half a second and an answer or two were in its hands.
            assert len(load.bad) <= 30, load.bad
            assert load.good > at_the_kill
            numbers = [int(told.split(":")[0]) for told in load.bad]
            assert not numbers or max(numbers) <= at_the_kill + 40, load.bad
            await crew.until_well()
            assert "ended after" in crew.log()
            metrics = await crew.text("/metrics")
            assert counted(metrics, "federation_member_leases") <= 1
            assert 'cause="worker_lost"' in metrics


async def test_workers_are_replaced_without_losing_a_request(tmp_path: Path) -> None:
    async with StockMember("alpha", slow) as alpha:
        crew = Crew(tmp_path)
        crew.configure(configured(alpha))
        async with crew:
            before = crew.pids()
            kept = [KeptConnection(crew) for _ in range(4)]
            asking = [asyncio.create_task(one.run()) for one in kept]
            async with loaded(crew) as load:
                await asyncio.sleep(0.5)
                crew.process.send_signal(signal.SIGHUP)
                await until(lambda: not set(before) & set(crew.pids()), 40)
                await asyncio.sleep(0.5)
            assert not load.bad
            assert load.good > 50
            for one, task in zip(kept, asking, strict=True):
                task.cancel()
                assert one.answers > 20 and one.connections > 1 and not one.broken
            await asyncio.gather(*asking, return_exceptions=True)
            assert len(crew.pids()) == 2


async def test_redirects_are_counted_once_and_go_over_to_new_workers(tmp_path: Path) -> None:
    async with StockMember("alpha") as alpha:
        crew = Crew(tmp_path)
        crew.configure(configured(alpha), launch={"mode": "redirect"})
        async with crew:
            before = crew.pids()
            kept = [KeptConnection(crew, SPEC) for _ in range(8)]
            asking = [asyncio.create_task(one.run()) for one in kept]
            await asyncio.sleep(0.5)
            crew.process.send_signal(signal.SIGHUP)
            await until(lambda: not set(before) & set(crew.pids()), 40)
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            assert all(one.answers > 20 and one.connections > 1 and not one.broken for one in kept)
            sent = sum(one.answers for one in kept)
            await asyncio.sleep(0.5)  # one answer of each may still have been under way
            metrics = await crew.text("/metrics")
            assert sent <= counted(metrics, "federation_redirect_count") <= sent + len(kept)
            assert counted(metrics, "federation_redirect_count") == counted(
                metrics, "federation_launches_total"
            )
            ids = [one["id"] for one in (await crew.json("/federation/v1/decisions?limit=200"))["decisions"]]
            assert ids == sorted(set(ids), reverse=True) and len(ids) == min(200, ids[0])


async def test_a_killed_captain_leaves_nothing_behind(tmp_path: Path) -> None:
    async with StockMember("alpha") as alpha:
        crew = Crew(tmp_path)
        crew.configure(configured(alpha))
        async with crew:
            pids = crew.pids()
            argv = psutil.Process(pids[0]).cmdline()
            folder = Path(argv[argv.index("federation.workers.worker") + 2])
            assert folder.is_dir() and folder.stat().st_mode & 0o77 == 0
            os.kill(crew.process.pid, signal.SIGKILL)
            await crew.process.wait()
            await until(lambda: gone(pids), 15)
            assert not folder.exists()


async def test_workers_give_no_seat_away_twice(tmp_path: Path) -> None:
    async with StockMember("alpha", slow) as alpha, StockMember("beta", slow) as beta:
        crew = Crew(tmp_path)
        members = {**configured(alpha, weight=1000, seats=9), **configured(beta)}
        alpha.told = {
            "ok": True,
            "checks": [{"service": "Pod quota", "ok": True, "total_pods": 0, "quota": 9}],
        }
        crew.configure(members, policy={"headroom": 0}, waiting={"per_visitor": 100})
        async with crew:
            told = await asyncio.gather(*(crew.launch(f"/build/gh/a/repo-{n}/HEAD") for n in range(40)))
            assert all(one.last["phase"] == "ready" for one in told)
            marks = Counter(re.search(rb"id: ([0-9a-f]{6})", one.body)[1] for one in told)
            share = 9 // 2  # which a worker with fewer launches than that does not use up
            assert sum(min(share, count) for count in marks.values()) <= len(alpha.requests) <= 9, marks
            assert len(beta.requests) == 40 - len(alpha.requests)
            assert len(marks) == 2, "one worker had them all, so this shows nothing"


async def test_a_launch_is_gone_on_with_at_any_worker(tmp_path: Path) -> None:
    more = asyncio.Event()

    async def play(request: web.Request, response: web.StreamResponse) -> None:
        await response.write(event(phase="building", message="Step 1\n"))
        await more.wait()
        await response.write(event(**READY))

    async with StockMember("alpha", play) as alpha:
        crew = Crew(tmp_path)
        crew.configure(configured(alpha))
        async with crew:
            one, two = crew.pids()
            with crew.alone(one):
                async with crew.ask(SPEC, headers=EVENTS) as answer:
                    begun = await answer.content.readuntil(b"Step 1")
            last = re.findall(rb"id: (\S+)", begun)[-1].decode()
            with crew.alone(two):  # which has to wait for the other one then
                resumed = asyncio.create_task(crew.launch(**{"Last-Event-ID": last}))
                await asyncio.sleep(0.3)
            more.set()
            told = await resumed
            assert told.last["phase"] == "ready" and len(told.events) == 1
            assert len(alpha.requests) == 1
            with crew.alone(two):
                again = asyncio.create_task(crew.launch(**{"Last-Event-ID": _next(last)}))
                await asyncio.sleep(0.3)
            assert (await again).status == 204


def _next(id: str) -> str:
    launch, _, number = id.rpartition(".")
    return f"{launch}.{int(number) + 1}"


async def test_a_build_is_joined_by_launches_of_other_workers(tmp_path: Path) -> None:
    built = asyncio.Event()

    async def play(request: web.Request, response: web.StreamResponse) -> None:
        await response.write(event(phase="building", message="Step 1\n"))
        await built.wait()
        await response.write(event(**READY))

    async with StockMember("alpha", play) as alpha, StockMember("beta", play) as beta:
        crew = Crew(tmp_path)
        crew.configure(configured(alpha, beta), policy={"order": "random"})
        async with crew:
            one, two = crew.pids()
            running = []
            for pid in (one, two) * 5:
                with crew.alone(pid):
                    running.append(asyncio.create_task(crew.launch()))
                    await until(lambda: len(alpha.requests) + len(beta.requests) == len(running))
                await asyncio.sleep(0.1)
            built.set()
            await asyncio.gather(*running)
            assert not alpha.requests or not beta.requests
