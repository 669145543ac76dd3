from pathlib import Path

from pytest import MonkeyPatch, mark, raises

from members.runtimes.registry import docker_config_folder, registry_place
from members.settings import SettingsError, parse

FILE = Path("/etc/binder/member.yaml")
DOCKER = "runtime: docker\nimage_prefix: r.example.org/binder-\n"


@mark.parametrize(
    ("section", "expected"),
    [
        ("{kind: helper, url: 'http://h'}", "expected helper_token with kind: helper"),
        ("{url: 'http://r', helper_token: x}", "expected helper_token with kind: helper, and with it alone"),
        ("{kind: google}", "expected url as well, which kind would be about"),
        ("{cache: 'http://c'}", "expected url as well, which cache would be about"),
        ("{url: 'http://r', cache: 'http://r/'}", "expected another registry than url"),
        ("{url: 'http://r', username: me}", "expected username and password, or neither"),
        ("{url: 'http://r', password: hunter2}", "expected username and password, or neither"),
        (
            "{kind: google, url: 'http://r', username: me, password: hunter2}",
            "expected no username and no password with kind: google",
        ),
        (
            "{kind: helper, url: 'http://r', helper_token: hunter2, not_found_401: true}",
            "expected no not_found_401 with kind: helper",
        ),
        ("{kind: quay, url: 'http://r'}", "registry.kind: 'quay'"),
        ("{url: r.example.org}", "registry.url: 'r.example.org': expected an http or https URL"),
        ("{url: 'http://r', token_url: 'ftp://x'}", "expected an http or https URL, such as"),
    ],
)
def test_what_cannot_work_is_refused(section: str, expected: str) -> None:
    with raises(SettingsError) as caught:
        parse(f"{DOCKER}registry: {section}", FILE, {})
    (problem,) = caught.value.problems
    assert problem.startswith("/etc/binder/member.yaml:3: registry")
    assert expected in problem
    assert "hunter2" not in problem


@mark.parametrize(
    ("prefix", "url"),
    [
        ("", "https://r.example.org"),
        ("binder-", "https://r.example.org"),
        ("user/binder-", "https://r.example.org"),
        ("r.example.org/binder-", "https://registry-1.docker.io"),
        ("binder-", "https://index.docker.io/v1/"),
    ],
)
def test_names_must_lead_to_the_registry(prefix: str, url: str) -> None:
    with raises(SettingsError) as caught:
        parse(f"runtime: docker\nimage_prefix: '{prefix}'\nregistry: {{url: '{url}'}}", FILE, {})
    (problem,) = caught.value.problems
    assert f"image_prefix is {prefix!r}" in problem
    assert "expected an image_prefix such as" in problem


@mark.parametrize(
    ("prefix", "url"),
    [
        ("r.example.org/binder-", "https://r.example.org"),
        ("r.example.org/binder-", "http://registry.internal:5000"),
        ("user/binder-", "https://index.docker.io/v1/"),
        ("docker.io/user/binder-", "https://registry-1.docker.io"),
    ],
)
def test_names_that_lead_there(prefix: str, url: str) -> None:
    parse(f"runtime: docker\nimage_prefix: '{prefix}'\nregistry: {{url: '{url}'}}", FILE, {})


def test_without_a_url_there_is_no_registry() -> None:
    assert registry_place(parse("runtime: docker", FILE, {})) is None


def test_the_place_has_everything_that_was_given(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", "/from/environment")
    text = (
        f"{DOCKER}registry: {{url: 'https://r.example.org', cache: 'http://c:5001', username: me,"
        " password: '${PW}', token_url: 'https://t/token?service=x', not_found_401: true, timeout: 3s}"
    )
    place = registry_place(parse(text, FILE, {"PW": "hunter2"}))
    assert place is not None
    assert (place.url, place.cache) == ("https://r.example.org", "http://c:5001")
    assert (place.username, place.password) == ("me", "hunter2")
    assert (place.token_url, place.not_found_401, place.timeout) == ("https://t/token?service=x", True, 3.0)
    assert place.image_prefix == "r.example.org/binder-"
    assert place.docker_config == Path("/from/environment")
    assert "hunter2" not in repr(place)


def test_the_folder_of_dockers_configuration(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    given = parse(f"{DOCKER}registry: {{url: 'https://r.example.org', docker_config: cfg}}", FILE, {})
    assert docker_config_folder(given) == Path("/etc/binder/cfg")
    assert docker_config_folder(parse("", FILE, {})) == Path.home() / ".docker"
