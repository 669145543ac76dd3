"""Nothing personal is remembered, logged or counted: no address, no token, no credentials."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote

import pytest
from door_stage import READY, Door, StockMember, event, plays

from federation.core.rules import DecisionRules, LaunchRules, LogRules, Mode

Pair = tuple[StockMember, StockMember]
ADDRESSES = ("203.0.113.77", "2001:db8::77")
PASSWORD, TOKEN, SESSION = "hunTer@2", "toKen-0f3a", "sesSion-77"
SPEC = (
    "git/https%3A%2F%2Fvisitor%3AhunTer%402%40git.example.org%2Fteam%2Frepo%3Fprivate_token%3DtoKen-0f3a/HEAD"
)
QUERY = f"build_token={TOKEN}&urlpath=%2Ftree%3Ftoken%3D{TOKEN}"
GIT_SAYS = "fatal: Authentication failed for 'https://visitor:hunTer@2@git.example.org/team/repo?private_token=toKen-0f3a'"
PERSONAL = (*ADDRESSES, PASSWORD, "hunTer", TOKEN, SESSION, "visitor:")


def nothing_personal(text: str, where: str) -> None:
    for personal in PERSONAL:
        assert personal not in text, f"{personal} in {where}"


@pytest.mark.parametrize("mode", [Mode.RELAY, Mode.REDIRECT])
async def test_no_record_line_or_label_holds_anything_personal(
    mode: Mode, members: Pair, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alpha, beta = members
    alpha.play = plays(event(phase="failed", message=f"{GIT_SAYS}\n", status_code=500))
    beta.play = plays(event(**{**READY, "url": "http://hub.example/user/x/", "token": SESSION}))
    path = tmp_path / "decisions.jsonl"
    async with Door(
        alpha.configured(1e9),
        beta.configured(1e-9),
        launch=LaunchRules(mode=mode),
        trusted_proxies=("127.0.0.1/32",),
        decisions=DecisionRules(file=str(path)),
        state_folder=str(tmp_path / "state"),
    ) as door:
        door.door.log.configure(LogRules("debug", "json"))
        for address in ADDRESSES:
            await door.launch(
                f"/build/{SPEC}?{QUERY}", **{"X-Forwarded-For": address, "Authorization": TOKEN}
            )
        beta.play = plays(event(phase="failed", message=f"{GIT_SAYS}\n"))
        await door.launch(f"/build/{SPEC}?{QUERY}", **{"X-Forwarded-For": ADDRESSES[0]})
        told = await door.json("/federation/v1/decisions")
        assert len(told["decisions"]) == 3
        assert told["decisions"][0]["spec"].startswith("https://git.example.org/team/repo")
        nothing_personal(json.dumps(told), "the list")
        for one in told["decisions"]:
            for member in ("alpha", "beta"):
                query = f"?id={one['id']}&member={member}"
                nothing_personal(await door.text(f"/federation/v1/decisions{query}"), query)
        for query in (f"explain?spec={SPEC.replace('%', '%25')}&member=beta", "members"):
            nothing_personal(await door.text(f"/federation/v1/{query}"), query)
        nothing_personal(await door.text("/metrics"), "/metrics")
        nothing_personal(await door.text("/status"), "/status")
    log, lines = capsys.readouterr().err, path.read_text()
    assert log and len(lines.splitlines()) == 3
    nothing_personal(log, "the log")
    nothing_personal(lines, "the file")
    (archived,) = (tmp_path / "state" / "archive").glob("events-*")
    assert len(archived.read_text().splitlines()) == 3
    nothing_personal(archived.read_text(), "the archive")
    nothing_personal(unquote(archived.read_text()), "the archive, decoded")


async def test_hidden_parts_of_a_spec_cannot_be_guessed_by_searching(members: Pair) -> None:
    async with Door(members[0].configured()) as door:
        await door.launch(f"/build/{SPEC}")

        async def found(spec: str) -> int:
            return len((await door.json(f"/federation/v1/decisions?spec={spec}"))["decisions"])

        assert await found("git/https://git.example.org/team/repo") == 1
        repository = "git.example.org/team/repo"
        for right, wrong in (
            ("git/https://v", "git/https://w"),
            ("git/https://visitor:h", "git/https://visitor:x"),
            (f"git/https://visitor:hunTer@2@{repository}", f"git/https://visitor:x@{repository}"),
            (SPEC[:40], SPEC[:38] + "xx"),
            (SPEC[:40].replace("%", "%25"), SPEC[:38].replace("%", "%25") + "xx"),
            (f"git/https://{repository}?private_token=t", f"git/https://{repository}?private_token=x"),
        ):
            assert await found(right) == await found(wrong), right
