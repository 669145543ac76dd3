from pathlib import Path
from typing import get_args, get_origin

import yaml
from pydantic import BaseModel
from pytest import mark, raises

from members.settings import Settings, SettingsError, load, parse

EXAMPLE = Path(__file__).parents[3] / "config" / "member.yaml"
FILE = Path("/etc/binder/member.yaml")


def problems(text: str, environ: dict[str, str] | None = None) -> list[str]:
    with raises(SettingsError) as caught:
        parse(text, FILE, environ or {})
    return list(caught.value.problems)


def test_the_example_shows_exactly_the_defaults() -> None:
    assert load(EXAMPLE, {}) == parse("", EXAMPLE, {})


def test_the_example_shows_every_key() -> None:
    def keys(model: type[BaseModel]) -> dict[str, object]:
        found: dict[str, object] = {}
        for name, field in model.model_fields.items():
            choices = () if get_origin(field.annotation) is tuple else get_args(field.annotation)
            options = (field.annotation, *choices)
            below = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
            found[name] = keys(below) if below else ...
        return found

    def shown(value: object) -> object:
        return (
            {key: shown(below) for key, below in value.items()} if isinstance(value, dict) and value else ...
        )

    assert shown(yaml.safe_load(EXAMPLE.read_text())) == keys(Settings)


def test_relative_paths_start_at_the_files_folder() -> None:
    settings = parse(
        "state_dir: here\nimages: {store: /abs}\nproviders: {git: {file_roots: [../r]}}", FILE, {}
    )
    assert settings.state_dir == Path("/etc/binder/here")
    assert settings.images.store == Path("/abs")
    (_, git) = settings.enabled_providers()[1]
    assert git.file_roots == (Path("/etc/r"),)  # type: ignore[attr-defined]
    assert parse("", FILE, {}).images.store == Path("/etc/.binder-federation/images")


def test_secrets_come_from_the_environment_and_stay_hidden() -> None:
    settings = parse("providers: {gh: {access_token: '${TOKEN}'}}", FILE, {"TOKEN": "sesame"})
    assert "sesame" not in repr(settings)
    assert settings.enabled_providers()[0][1].access_token.get_secret_value() == "sesame"  # type: ignore[attr-defined]


def test_a_missing_variable_is_named() -> None:
    assert problems("\nproviders:\n  gh:\n    access_token: ${TOKEN}\n") == [
        "/etc/binder/member.yaml:4: providers.gh.access_token: the environment has no variable TOKEN"
    ]


def test_providers_can_be_switched_off() -> None:
    settings = parse("providers: {gh: null, git: {enabled: false}}", FILE, {})
    assert settings.enabled_providers() == ()


def test_rules_about_specs_are_checked() -> None:
    found = problems(
        "providers:\n  gl:\n    banned_specs: ['[']\n    high_quota_specs: ['(']\n    spec_config:\n"
        "      - {pattern: '*', config: {quota: 1}}\n      - {pattern: x, config: {quota: many}}\n"
        "      - {pattern: x}\n"
    )
    assert [problem.split(": ")[1] for problem in found] == [
        "providers.gl.banned_specs.0",
        "providers.gl.high_quota_specs.0",
        "providers.gl.spec_config.0.pattern",
        "providers.gl.spec_config.1.config.quota",
        "providers.gl.spec_config.2",
    ]
    assert "expected a regular expression, but '[' is none" in found[0]


@mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org", "::"])
def test_nothing_but_loopback(host: str) -> None:
    (problem,) = problems(f"port: 1\nhost: '{host}'")
    assert problem.startswith(f"/etc/binder/member.yaml:2: host: '{host}': ")
    assert "127.0.0.1" in problem


@mark.parametrize("host", ["0.0.0.0", "::"])
def test_every_address_is_no_public_url_of_a_hub(host: str) -> None:
    served = f"runtime: docker\nhost: '{host}'\nhub: "
    (problem,) = problems(served + "{port: 8001}")
    assert problem.endswith(
        "url: visitors cannot follow a link to every address: expected the hub's public URL"
    )
    assert parse(served + "{url: https://hub.example.org}", FILE, {}).host == host


@mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback(host: str) -> None:
    assert parse(f"host: '{host}'", FILE, {}).host == host


def test_every_problem_is_told_at_once_with_line_key_value_and_expectation() -> None:
    found = problems(
        "prot: 1\n"
        "port: 99999\n"
        "build:\n"
        "  timeout: 10\n"
        "  memory: 4X\n"
        "  memory: 4G\n"
        "runtime: podman\n"
        "sessions: {maxx: 3}\n"
        "providers: {gh: {hostnam: x}, git: {protocols: [ext]}, svn: {}}\n"
    )
    place = "/etc/binder/member.yaml:"
    assert [problem.removeprefix(place).split(": ")[:2] for problem in found] == [
        ["1", "prot"],
        ["2", "port"],
        ["4", "build.timeout"],
        ["6", "build.memory"],
        ["7", "runtime"],
        ["8", "sessions.maxx"],
        ["9", "providers.gh.hostnam"],
        ["9", "providers.git.protocols.0"],
        ["9", "providers.svn"],
    ]
    assert "unknown key; expected port perhaps, or one of name, runtime, host, port" in found[0]
    assert "99999" in found[1]
    assert found[2].endswith("10: expected a duration above zero: a number with s, m or h, such as 10m")
    assert found[3].endswith("build.memory: is given twice")
    assert any("expected one of gh, gist, git, gl, zenodo" in problem for problem in found)


def test_a_wrong_secret_is_not_shown() -> None:
    (problem,) = problems("providers: {gh: {access_token: [hunter2]}}")
    assert "hunter2" not in problem


@mark.parametrize("text", ["- a", "just words", "a: [", "1: 2", "port: {}", "build: 3", "images: null"])
def test_files_of_another_shape(text: str) -> None:
    assert all(problem.startswith(str(FILE)) for problem in problems(text))


@mark.parametrize("text", ["a: &x {b: *x}", "a: &x [*x]", "a: " + "[" * 5000])
def test_bottomless_files(text: str) -> None:
    assert problems(text) == [f"{FILE}: is not YAML that can be used: it is nested too deeply"]


def test_a_line_that_is_no_yaml_is_not_quoted() -> None:
    (problem,) = problems('port: 1\nproviders: {gh: {access_token: "hunter2"x}}')
    assert problem.startswith(f"{FILE}:2: is not YAML: ")
    assert "hunter2" not in problem


@mark.parametrize("text", ["port: 8000", "port: 9000\nhub: {port: 9000}"])
def test_member_and_hub_need_two_ports(text: str) -> None:
    (problem,) = problems(text)
    assert "is the member's own: expected another one" in problem


@mark.parametrize("store", ["s/builds", "s/images", "s/sessions/x"])
def test_a_store_that_the_member_would_clear_is_refused(store: str) -> None:
    (problem,) = problems(f"state_dir: s\nimages: {{store: {store}}}")
    assert "expected a store outside of its state_dir" in problem
    assert parse("state_dir: s\nimages: {store: s/store}", FILE, {}).images.store == Path(
        "/etc/binder/s/store"
    )


def test_a_missing_file() -> None:
    with raises(SettingsError, match="cannot be read"):
        load(Path("/nosuch/member.yaml"), {})


@mark.parametrize(("given", "kept"), [("/", "/"), ("/x", "/x/"), ("/x/y/", "/x/y/")])
def test_base_urls_end_with_a_slash(given: str, kept: str) -> None:
    assert parse(f"base_url: {given}", FILE, {}).base_url == kept


def test_urls_are_derived() -> None:
    settings = parse("host: '::1'\nport: 1234\nbase_url: /b\nhub: {port: 4321}", FILE, {})
    assert settings.url == "http://[::1]:1234/b/"
    assert settings.hub_url == "http://[::1]:4321/"
    assert parse("hub: {url: 'https://hub.example.org/x'}", FILE, {}).hub_url == "https://hub.example.org/x/"
