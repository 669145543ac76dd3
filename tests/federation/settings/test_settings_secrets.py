"""Secrets arrive, and are shown in no error."""

from __future__ import annotations

from pathlib import Path

import pytest
from settings_stage import refusal, written

from federation.settings import load


def test_a_token_itself_is_no_digest_of_one_and_is_not_shown(tmp_path: Path) -> None:
    told = refusal(tmp_path, 'members: {a: {url: "http://a"}}\noperators: {ana: {tokens: ["hunter2"]}}')
    assert "operators.ana.tokens[0]" in told and "binder-federation token" in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    "given",
    [
        "token: [s3cret]",
        "token: {a: s3cret}",
        "tokens: s3cret",
        "token: s3cret, url: 'http://me:s3cret@prom'",
    ],
)
def test_a_prometheus_token_is_not_shown_in_an_error(given: str, tmp_path: Path) -> None:
    told = refusal(tmp_path, f"members: {{}}\nprometheus: {{{given}}}\n")
    assert "prometheus." in told and "expected" in told and "s3cret" not in told


def test_a_prometheus_token_arrives_from_the_environment_and_stays_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "members: {}\nprometheus: {url: http://prom, token: '${A_TOKEN}'}\n"
    assert "prometheus.token: expected the environment to have a variable A_TOKEN" in refusal(tmp_path, text)
    monkeypatch.setenv("A_TOKEN", "s3cret")
    settings = load(written(tmp_path, text))
    assert settings.prometheus.token == "s3cret" and "s3cret" not in repr(settings)


def test_the_build_token_secret_arrives_and_stays_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "ab" * 32)
    for given in ("ab" * 32, "${A_SECRET}"):
        settings = load(
            written(tmp_path, f"members: {{}}\nbuild_tokens: {{secret: '{given}', lifetime: 2m}}\n")
        )
        assert settings.build_tokens.secret == bytes.fromhex("ab" * 32)
        assert settings.build_tokens.lifetime == 120
        assert "abab" not in repr(settings) and "\\xab" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("hunter2", "expected at least 32 hexadecimal digits"),
        ("ab" * 15, "expected at least 32 hexadecimal digits"),
        ("${NOT_THERE}", "expected the environment to have a variable NOT_THERE"),
    ],
)
def test_a_wrong_secret_is_refused_and_not_shown(tmp_path: Path, given: str, expected: str) -> None:
    told = refusal(tmp_path, f"members: {{}}\nbuild_tokens:\n  secret: '{given}'\n")
    assert told.startswith("federation.yaml:3: build_tokens.secret: expected")
    assert expected in told
    assert "hunter2" not in told and "abab" not in told
