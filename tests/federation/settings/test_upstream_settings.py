"""Upstream's JSON is read as it is."""

from __future__ import annotations

import json
from pathlib import Path

from settings_stage import refusal, written

from federation.core.hashing import draw, score
from federation.core.launchkey import parse_launch
from federation.core.model import Member
from federation.core.rules import (
    HealthRules,
    Mode,
    PolicyRules,
)
from federation.settings import load

UPSTREAM = {
    "check": {"period": 15, "jitter": 0.1, "retries": 5, "timeout": 5, "failed_period": 90},
    "load_balancer": "rendezvous",
    "pod_headroom": 10,
    "host_cookie_age_hours": 4,
    "enabled": True,
    "hosts": {
        "hetzner-2i2c": {
            "prime": True,
            "url": "https://2i2c.mybinder.org/",
            "weight": 50,
            "health": "https://2i2c.mybinder.org/health",
            "versions": "https://2i2c.mybinder.org/versions",
        },
        "hetzner-gesis": {
            "url": "https://gesis.mybinder.org",
            "weight": 50,
            "health": "https://elsewhere.org/up",
        },
        "bids-ovh": {"url": "https://bids.mybinder.org", "weight": 50},
        "gke": None,
        "turing": {"url": "https://turing.mybinder.org", "weight": 0},
        "ovh": {"url": "https://ovh.mybinder.org"},
        "staging": {"weight": 0},
    },
}


def test_upstreams_json_is_read_as_it_is(tmp_path: Path) -> None:
    settings = load(written(tmp_path, json.dumps(UPSTREAM, indent="\t"), "config.json"))
    members = {member.name: member for member in settings.members}
    assert settings.launch.mode is Mode.REDIRECT and settings.policy.order == "rendezvous"
    assert settings.health == HealthRules(15.0, 5.0, 5, 1, jitter=0.1)
    assert settings.policy.headroom == 10
    assert members["hetzner-2i2c"] == Member("hetzner-2i2c", "https://2i2c.mybinder.org", 50.0)
    assert members["hetzner-gesis"].health_path == "https://elsewhere.org/up"
    assert (members["turing"].weight, members["ovh"].weight) == (0.0, 0.0)
    assert not {"gke", "staging"} & set(members)
    assert len(settings.notices) == 3


def test_upstreams_json_gives_upstreams_scores(tmp_path: Path) -> None:
    settings = load(written(tmp_path, json.dumps(UPSTREAM), "config.json"))
    key = parse_launch("/build/gh/binder-examples/requirements/HEAD").repo_key
    scores = {member.name: score(member.weight, draw(key, member.name)) for member in settings.members}
    assert scores["hetzner-2i2c"] == 53.769375544779926
    assert sorted(filter(scores.get, scores), key=scores.__getitem__, reverse=True) == [
        "hetzner-gesis",
        "hetzner-2i2c",
        "bids-ovh",
    ]


def test_upstreams_defaults_are_those_of_its_program(tmp_path: Path) -> None:
    settings = load(written(tmp_path, '{"hosts": {"a": {"url": "http://a", "weight": 1}}}'))
    assert settings.health == HealthRules(10.0, 2.0, 5, 1, jitter=0.1)
    assert settings.policy == PolicyRules(headroom=10) and not settings.notices


def test_an_upstream_host_with_weight_needs_an_address(tmp_path: Path) -> None:
    assert "hosts.a.url: expected this key" in refusal(tmp_path, '{"hosts": {"a": {"weight": 5}}}')
    assert "hosts.a.weight" in refusal(tmp_path, '{"hosts": {"a": {"url": "http://a", "weight": "x"}}}')
