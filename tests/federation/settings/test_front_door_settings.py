from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from settings_stage import refusal, written

from federation.core.model import Member, MemberCosts
from federation.core.rules import (
    CanaryRules,
    DecisionRules,
    HealthRules,
    LaunchRules,
    Mode,
    Operator,
    PolicyRules,
    PrometheusRules,
    RefRules,
    Role,
    Settings,
    WaitingRules,
)
from federation.settings import SettingsError, load, schema

SHIPPED = Path(__file__).parents[3] / "config" / "federation.yaml"


def test_operators_costs_and_a_state_folder_are_read(tmp_path: Path) -> None:
    digest = "ab" * 32
    settings = load(
        written(
            tmp_path,
            f"""
            state_folder: /var/lib/front-door
            operators: {{ana: {{role: viewer, tokens: ["sha256:{digest}"]}}}}
            members:
              a: {{url: "http://a", costs: {{monthly: 300.0, cap: 400.0}}}}
            """,
        )
    )
    assert settings.state_folder == "/var/lib/front-door"
    assert settings.operators == (Operator("ana", Role.VIEWER, (digest,)),)
    assert settings.members[0].costs == MemberCosts(300.0, None, 400.0)


def test_the_shipped_file_shows_the_defaults() -> None:
    settings = load(SHIPPED)
    assert settings == Settings(
        members=(
            Member("hetzner-2i2c", "https://2i2c.example.org", 300.0, 300),
            Member("gesis", "https://gesis.example.org", 180.0),
        ),
        state_folder=str(SHIPPED.with_suffix(".state")),
    )


def test_the_shipped_file_names_every_key() -> None:
    shipped = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    definitions = schema()["$defs"]
    assert set(shipped) == set(schema()["properties"])
    for section, model in {
        "launch": "LaunchSection",
        "policy": "PolicySection",
        "health": "HealthSection",
        "waiting": "WaitingSection",
        "prometheus": "PrometheusSection",
        "refs": "RefSection",
        "decisions": "DecisionSection",
        "build_tokens": "BuildTokenSection",
        "log": "LogSection",
    }.items():
        assert set(shipped[section]) == set(definitions[model]["properties"])
    told = SHIPPED.read_text(encoding="utf-8")
    assert all(key in told for key in definitions["MemberSection"]["properties"])
    assert all(key in told for key in definitions["SuggestionSection"]["properties"])
    assert all(key in told for key in definitions["CanarySection"]["properties"])


def test_every_key_of_the_schema_has_help() -> None:
    for model in (schema(), *schema()["$defs"].values()):
        for key, told in model.get("properties", {}).items():
            assert told.get("description") or "$ref" in told, key


def test_values_arrive(tmp_path: Path) -> None:
    settings = load(
        written(
            tmp_path,
            """
public_url: https://binder.example.org/
launch: {mode: redirect, timeout: 1.5h, stuck_after: 2m, connect_timeout: 0.5s, attempts: 2}
policy: {order: random, balance_factor: 2, headroom: 4}
health: {interval: 1m, fall: 3, eject_base: 5s, version_grace: 1h, canary: {spec: gh/a/b/HEAD, every: 5m}}
waiting: {places: 7, timeout: 1m, per_visitor: 2}
prometheus: {url: http://prom/, selector: 'site="%(member)s"', scrape: false, queries: {pressure: up}}
refs: {resolve: false, allow_private: true, file_roots: [/srv/git]}
decisions: {keep: 0, file: decisions.jsonl}
view_file: view.json
trusted_proxies: [10.1.2.3/8, "::1"]
suggestions: [{title: T, provider: gh, repo: a/b}]
members: {a: {url: http://a/, weight: 0.5, seats: 7, prometheus: http://own/}, b: null}
log: {level: debug, format: json}
""",
        )
    )
    assert settings.public_url == "https://binder.example.org"
    assert settings.launch == LaunchRules(Mode.REDIRECT, 5400.0, 120.0, 0.5, 2)
    assert settings.policy == PolicyRules("random", 2.0, 4)
    assert settings.health == HealthRules(
        interval=60.0, fall=3, eject_base=5.0, version_grace=3600.0, canary=CanaryRules("gh/a/b/HEAD", 300.0)
    )
    assert settings.waiting == WaitingRules(7, 60.0, 2)
    assert settings.prometheus == PrometheusRules(
        "http://prom", 'site="%(member)s"', scrape=False, queries={"pressure": "up"}
    )
    assert settings.refs == RefRules(resolve=False, allow_private=True, file_roots=("/srv/git",))
    assert settings.decisions == DecisionRules(keep=0, file="decisions.jsonl")
    assert settings.view_file == "view.json"
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1/128")
    assert settings.members == (Member("a", "http://a", 0.5, 7, prometheus="http://own"),)
    assert settings.suggestions[0].ref == "HEAD"
    assert (settings.log.level, settings.log.format) == ("debug", "json")


def test_headroom_is_a_number_or_left_to_the_front_door(tmp_path: Path) -> None:
    for given, meant in {"auto": None, "0": 0, "3": 3}.items():
        settings = load(written(tmp_path, f"members: {{}}\npolicy: {{headroom: {given}}}\n"))
        assert settings.policy.headroom == meant


WHOLE_SECONDS = "expected a duration above zero with s, m or h, such as 10s"
LAUNCH = "expected a launch, written provider/…/ref"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "policy: {headroom: some}",
            'policy.headroom: got "some", expected auto, or a number of seats from 0',
        ),
        ("policy: {headroom: -1}", "policy.headroom: got -1, expected auto, or a number of seats from 0"),
        ("policy: {headroom: 1.5}", "policy.headroom: got 1.5, expected auto, or a number of seats from 0"),
        ("policy: {headroom: true}", "policy.headroom: got true, expected auto, or a number of seats from 0"),
        (
            "policy: {balance_factor: 0.5}",
            "balance_factor: got 0.5, expected a value greater than or equal to 1",
        ),
        ("launch: {retry_budget: 2}", "launch.retry_budget: got 2, expected a value less than or equal to 1"),
        ("health: {headroom: 4}", "health.headroom: expected only canary,"),
        ("health: {version_grace: 7200}", f"health.version_grace: got 7200, {WHOLE_SECONDS}"),
        ("health: {eject_base: 0s}", f'health.eject_base: got "0s", {WHOLE_SECONDS}'),
        ("health: {canary: {spec: nope}}", f'health.canary.spec: got "nope", {LAUNCH}'),
        (
            "health: {canary: {spec: hub/a/b/c}}",
            f'health.canary.spec: got "hub/a/b/c", {LAUNCH} (No provider',
        ),
        ("health: {canary: {spec: gh/a}}", f'health.canary.spec: got "gh/a", {LAUNCH} (A gh spec is'),
        ("health: {canary: {every: 5m}}", "health.canary.spec: expected this key to be given"),
        ("health: {canary: {spec: gh/a/b/c, every: 9}}", f"health.canary.every: got 9, {WHOLE_SECONDS}"),
        ("waiting: {places: -1}", "waiting.places: got -1, expected a value greater than or equal to 0"),
        ("waiting: {places: many}", 'waiting.places: got "many", expected a valid integer'),
        ("waiting: {timeout: 0s}", f'waiting.timeout: got "0s", {WHOLE_SECONDS}'),
        (
            "waiting: {per_visitor: 0}",
            "waiting.per_visitor: got 0, expected a value greater than or equal to 1",
        ),
        ("waiting: {per_visiter: 2}", "waiting.per_visiter: expected only per_visitor, places, timeout here"),
        (
            "prometheus: {queries: {launch_ratio: up}}",
            'prometheus.queries.launch_ratio: got "up", expected one of launch_success, launches, launch_seconds',
        ),
        ("prometheus: {queries: {quota: 7}}", "prometheus.queries.quota: got 7, expected a valid string"),
        ("prometheus: {url: prom}", 'prometheus.url: got "prom", expected an http:// or https:// URL'),
        ("prometheus: {selector: 7}", "prometheus.selector: got 7, expected a valid string"),
        ("prometheus: {scrape: 1}", "prometheus.scrape: got 1, expected a valid boolean"),
        ("prometheus: {interval: 15}", f"prometheus.interval: got 15, {WHOLE_SECONDS}"),
        ("prometheus: {timeout: 0s}", f'prometheus.timeout: got "0s", {WHOLE_SECONDS}'),
        ("prometheus: {max_age: 3}", f"prometheus.max_age: got 3, {WHOLE_SECONDS}"),
        ("refs: {resolve: maybe}", 'refs.resolve: got "maybe", expected a valid boolean'),
        ("refs: {allow_private: 1}", "refs.allow_private: got 1, expected a valid boolean"),
        ("refs: {file_roots: [7]}", "refs.file_roots[0]: got 7, expected a valid string"),
        ("decisions: {keep: -1}", "decisions.keep: got -1, expected a value greater than or equal to 0"),
        ("decisions: {file: [a]}", 'decisions.file: got ["a"], expected a valid string'),
        ("view_file: 7", "view_file: got 7, expected a valid string"),
    ],
)
def test_a_bad_value_is_told_with_line_key_value_and_expectation(
    text: str, words: str, tmp_path: Path
) -> None:
    (told,) = refusal(tmp_path, f"members: {{}}\n{text}\n").splitlines()[-1:]
    assert told.startswith("federation.yaml:2: ") and words in told


def test_a_members_own_prometheus_is_an_address_too(tmp_path: Path) -> None:
    told = refusal(tmp_path, "members: {a: {url: http://a, prometheus: prom}}")
    assert 'members.a.prometheus: got "prom", expected an http:// or https:// URL' in told


def test_every_problem_is_told_at_once_with_line_key_value_and_expectation(tmp_path: Path) -> None:
    told = refusal(
        tmp_path,
        """
health: {intervall: 3s, timeout: 0s}
launch:
  mode: relais
  stuck_after: 90
members:
  a: {url: "http://u:secret@x", weight: -1}
  b: {}
""",
    ).splitlines()
    duration = "expected a duration above zero with s, m or h, such as 10s"
    assert f'federation.yaml:2: health.timeout: got "0s", {duration}' in told
    assert any(
        line.startswith("federation.yaml:2: health.intervall:") and "did you mean interval?" in line
        for line in told
    )
    assert "federation.yaml:4: launch.mode: got \"relais\", expected 'relay' or 'redirect'" in told
    assert any(line.startswith("federation.yaml:5: launch.stuck_after: got 90,") for line in told)
    assert any(
        line.startswith("federation.yaml:7: members.a.weight: got -1, expected a value") for line in told
    )
    assert "federation.yaml:8: members.b.url: expected this key to be given" in told
    assert not any("secret" in line for line in told) and len(told) == 7


@pytest.mark.parametrize(
    "url",
    [
        "2i2c.example.org", "ftp://x", "javascript:alert(1)", "http://", "http:///x", "http://x:99999", "http://x:0",
        "http://u@x", "http://x?a=b", "http://x/#f", "http://x y", "http://[::1", "//x", 7, None,
    ],
)  # fmt: skip
def test_a_member_url_that_is_no_plain_http_url_is_refused(url: Any, tmp_path: Path) -> None:
    assert "members.a.url" in refusal(tmp_path, json.dumps({"members": {"a": {"url": url}}}))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a mapping"),
        ("- a", "expected a mapping"),
        ("members: [", "federation.yaml:1: the file: expected valid YAML"),
        (
            "members: {}\nmembers: {}",
            "federation.yaml:2: members: expected each key once (it is also on line 1)",
        ),
        ("title: x", "members: expected this key to be given"),
        ("members: {'a b': {url: http://x}}", "expected a name of letters"),
        ("members: {}\npolicy: {order: rendezvouz}", "expected one of rendezvous, random"),
        ("members: {}\nproviders: [gh, hub]", 'providers[1]: got "hub", expected one of gh, gist'),
        ("members: {}\nmember: {}", "did you mean members?"),
        ("members: {a: {url: http://x, weight: .inf}}", "members.a.weight"),
        ("members: {}\ntrusted_proxies: [proxy]", "expected an IP address or network"),
    ],
)
def test_a_bad_file_is_refused_in_words(text: str, words: str, tmp_path: Path) -> None:
    assert words in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title: 2026-99-99", "month must be in 1..12"),
        ("title: &a [*a]", "plain values in moderate depth"),
        ("title: " + "[" * 3000, "plain values in moderate depth"),
        ('{"title":' * 3000, "plain values in moderate depth"),
        ("\x00", "valid YAML"),
        (f"title: 0x{'f' * 5000}", "plain values in moderate depth"),
        ('title: "\\ud800"', "plain values in moderate depth"),
        ('{"members": {"a": null, "a": {"url": "http://a"}}}', "a: expected each key once"),
    ],
)
def test_what_yaml_or_json_cannot_say_plainly_is_refused_in_words(
    text: str, words: str, tmp_path: Path
) -> None:
    assert words in refusal(tmp_path, text)


def test_a_file_that_cannot_be_read_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="UTF-8"):
        load(tmp_path / "bytes.yaml")
