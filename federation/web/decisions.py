"""Why launches went where they went, and where one would go now. Changes nothing, and shows nothing personal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from aiohttp import web
from multidict import MultiMapping

from federation.core import decisions as shapes
from federation.core.errors import LaunchError
from federation.core.facts import Outcome
from federation.core.launchkey import LONGEST_SPEC, parse_spec, shown, take_member
from federation.core.model import Decision
from federation.core.told import text
from federation.service.decisions import Decisions
from federation.service.dispatch import Dispatcher
from federation.web.api import CLOCK, answer
from federation.web.cors import open_to_all
from federation.web.keys import POOL, RUNNING

DISPATCHER = web.AppKey("dispatcher", Dispatcher)
DECISIONS = web.AppKey("decisions", Decisions)

MOST = 200  # launches in one answer
USUAL = 50
OUTCOMES = (*(outcome.value for outcome in Outcome if outcome is not Outcome.LOST), shapes.UNDER_WAY)
PARAMETERS = ("id", "spec", "member", "outcome", "before", "limit")
LONGEST = {"spec": 500, "member": 63}  # characters of what is looked for; a member's name has no more
SPEC_EXPECTED = "a launch, written provider/…/ref"
_LARGEST = 2**53  # whole in JavaScript too


class BadParameter(Exception):
    """A request's parameter that says nothing."""

    def __init__(self, key: str, value: str, expected: str) -> None:
        super().__init__(key, value, expected)
        self.key, self.value, self.expected = key, value, expected

    def answer(self) -> web.Response:
        return answer(self.told(), status=400)

    def told(self) -> dict[str, object]:
        value = text(shown(self.value))
        message = f"{self.key}: {value!r}, expected {self.expected}"
        return {"status": 400, "message": message, "key": self.key, "value": value, "expected": self.expected}


async def decisions(request: web.Request) -> web.Response:
    """Past launches, newest first; or the one with `id`, and why it went to `member` or did not."""
    try:
        asked = _asked(request.query)
        if "id" in asked:
            return _one(request, whole(asked, "id", _LARGEST), text(asked.get("member", "")))
        page = request.app[DECISIONS].of(
            spec=asked.get("spec", ""),
            member=asked.get("member", ""),
            outcome=_outcome(asked),
            before=whole(asked, "before", _LARGEST) if "before" in asked else None,
            limit=whole(asked, "limit", MOST) if "limit" in asked else USUAL,
        )
    except BadParameter as problem:
        return problem.answer()
    return answer({"decisions": [shapes.summary(record) for record in page.records], "next": page.next})


async def explain(request: web.Request) -> web.Response:
    """Where a launch of this spec would go now, with all figures and reasons; and why to `member`, or why not
    there. A wish is part of the spec (`…?member=NAME`), this question is none. Sends nothing there."""
    spec, _, query = request.query.get("spec", "").partition("?")
    name = request.query.get("member", "")
    try:
        once(request.query)
        if len(spec) > LONGEST_SPEC:
            raise BadParameter("spec", spec, f"at most {LONGEST_SPEC} characters")
        launch = parse_spec(spec)
        if name and request.app[POOL].view(name) is None:
            known = ", ".join(view.member.name for view in request.app[POOL].views())
            raise BadParameter("member", name, f"one of {known}" if known else "no member, as there is none")
    except LaunchError as error:
        return BadParameter("spec", spec, f"{SPEC_EXPECTED} ({shown(error.message)})").answer()
    except BadParameter as problem:
        return problem.answer()
    decide = request.app[DISPATCHER].decide
    decision = decide(replace(launch, prefer=take_member(query)[1]))
    told = shapes.explained(decision, request.app[CLOCK].now())
    told["policy"] = request.app[RUNNING].settings.policy.order
    if name:
        sentence = shapes.why(decision, _first(decision), name, "is")
        if _first(decision) != name and _first(decide(replace(launch, prefer=name))) == name:
            sentence = f"{sentence} With ?member={name} it is."
        told["asked"] = {"member": name, "why": sentence}
    return answer(told)


def _first(decision: Decision) -> str | None:
    return decision.candidates[0].view.member.name if decision.candidates else None


def _one(request: web.Request, id: int, name: str) -> web.Response:
    record = request.app[DECISIONS].find(id)
    if record is None:
        keep = request.app[RUNNING].settings.decisions.keep
        message = f"id: no launch {id} is remembered, expected one of the last {keep}"
        return answer({"status": 404, "message": message}, status=404)
    told = shapes.detail(record)
    if name:
        told["asked"] = {"member": name, "why": shapes.about(record, name)}
    return answer({"decisions": [told], "next": None})


def once(query: MultiMapping[str]) -> None:
    """Refuses a parameter that is there more than once: nobody knows which of them is meant."""
    for key in query:
        if len(query.getall(key)) > 1:
            raise BadParameter(text(key), " ".join(query.getall(key)), "one value")


def _asked(query: MultiMapping[str]) -> dict[str, str]:
    """The parameters that hold something. A misspelt one would be answered with too much."""
    once(query)
    for key, value in query.items():
        if key not in PARAMETERS:
            raise BadParameter(text(key), value, f"one of the parameters {', '.join(PARAMETERS)}")
        if len(value) > (most := LONGEST.get(key, len(value))):
            raise BadParameter(key, value, f"at most {most} characters")
    return {key: value for key, value in query.items() if value}


def _outcome(asked: Mapping[str, str]) -> str:
    value = asked.get("outcome", "")
    if value and value not in OUTCOMES:
        raise BadParameter("outcome", value, f"one of {', '.join(OUTCOMES)}")
    return value


def whole(asked: Mapping[str, str], key: str, largest: int) -> int:
    """The whole number of this parameter, from 1 on. Raises `BadParameter`."""
    value = asked[key]
    usable = value.isascii() and value.isdigit() and len(value) <= len(str(largest))
    if not usable or not 1 <= int(value) <= largest:
        raise BadParameter(key, value, f"a whole number from 1 to {largest}")
    return int(value)


def routes() -> list[web.RouteDef]:
    return [
        *open_to_all("/federation/v1/explain", explain),
        *open_to_all("/federation/v1/decisions", decisions),
    ]
