from hypothesis import given
from hypothesis import strategies as st
from pytest import mark

from members.core.imageref import ImageRef, api_url, config_key, host_of, parse, through_cache


@mark.parametrize(
    ("image", "host", "repository", "reference"),
    [
        ("127.0.0.1:5000/binder-x:1", "127.0.0.1:5000", "binder-x", "1"),
        (
            "oci.2i2c.mybinder.org/mybinder-builds/i-a-03025a:abc",
            "oci.2i2c.mybinder.org",
            "mybinder-builds/i-a-03025a",
            "abc",
        ),
        ("gcr.io/project/x:t", "gcr.io", "project/x", "t"),
        ("[::1]:5000/x", "[::1]:5000", "x", "latest"),
        ("localhost/foo:t", "localhost", "foo", "t"),
        ("binderhub/img-x:t", "docker.io", "binderhub/img-x", "t"),
        ("docker.io/user/x", "docker.io", "user/x", "latest"),
        ("index.docker.io/user/x:1", "docker.io", "user/x", "1"),
        ("debian", "docker.io", "library/debian", "latest"),
        ("debian:12", "docker.io", "library/debian", "12"),
        ("host:5000/x@sha256:00ff", "host:5000", "x", "sha256:00ff"),
        ("host:5000/x:t@sha256:00ff", "host:5000", "x", "sha256:00ff"),
    ],
)
def test_where_a_name_leads(image: str, host: str, repository: str, reference: str) -> None:
    assert parse(image) == ImageRef(host, repository, reference)


@mark.parametrize("account", ["my-org", "abc", "a" * 41, "x_y"])
def test_accounts_of_docker_hub_that_binderhub_loses(account: str) -> None:
    """BinderHub's rule takes these accounts for hosts and looks for the image without them."""
    assert parse(f"{account}/img-x:1") == ImageRef("docker.io", f"{account}/img-x", "1")


@given(
    st.sampled_from(["127.0.0.1:5000", "registry.example.org", "localhost:1"]),
    st.from_regex(r"[a-z0-9]+(/[a-z0-9-]+){0,2}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,30}", fullmatch=True),
)
def test_a_name_with_a_host_comes_apart_and_together(host: str, repository: str, tag: str) -> None:
    assert parse(f"{host}/{repository}:{tag}") == ImageRef(host, repository, tag)


@mark.parametrize(
    ("url", "host", "api"),
    [
        ("http://127.0.0.1:5000", "127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("https://registry.example.org/v2", "registry.example.org", "https://registry.example.org"),
        ("https://index.docker.io/v1", "docker.io", "https://registry-1.docker.io"),
        ("https://docker.io", "docker.io", "https://registry-1.docker.io"),
        ("https://registry-1.docker.io", "docker.io", "https://registry-1.docker.io"),
    ],
)
def test_urls(url: str, host: str, api: str) -> None:
    assert (host_of(url), api_url(url)) == (host, api)


def test_keys_of_dockers_config_file() -> None:
    assert config_key("docker.io") == "https://index.docker.io/v1/"
    assert config_key("r.example.org:5000") == "r.example.org:5000"
    assert host_of("r.example.org:5000") == "r.example.org:5000"
    assert host_of("https://index.docker.io/v1/") == "docker.io"


@mark.parametrize(
    ("image", "cache", "name"),
    [
        ("r.example.org/binder-x:1", None, "r.example.org/binder-x:1"),
        ("r.example.org/binder-x:1", "http://10.0.0.1:5001", "10.0.0.1:5001/binder-x:1"),
        ("account/binder-x:1", "http://10.0.0.1:5001", "10.0.0.1:5001/account/binder-x:1"),
        (
            "account/binder-x",
            "https://harbor.example.org/hub-proxy/",
            "harbor.example.org/hub-proxy/account/binder-x:latest",
        ),
        ("r.example.org/x@sha256:00ff", "https://c.example.org", "c.example.org/x@sha256:00ff"),
    ],
)
def test_the_name_to_pull_by(image: str, cache: str | None, name: str) -> None:
    assert through_cache(image, cache) == name
