from pathlib import Path

from pytest import mark, raises

from members.core.model import SpecError
from members.providers.base import checked_ref
from members.providers.git import choose
from members.providers.giturl import checked_url

USUAL = ("http", "https", "git", "ssh")


@mark.parametrize(
    ("url", "becomes"),
    [
        ("https://host/repo.git", "https://host/repo.git"),
        ("git://127.0.0.1:9418/repo", "git://127.0.0.1:9418/repo"),
        ("http://[::1]:80/repo", "http://[::1]:80/repo"),
        ("ssh://git@host/group/repo", "ssh://git@host/group/repo"),
        ("git@host:group/repo.git", "ssh://git@host/group/repo.git"),
        ("git@host:/abs/repo", "ssh://git@host/abs/repo"),
    ],
)
def test_usual_urls(url: str, becomes: str) -> None:
    assert checked_url(url, USUAL, ()) == becomes


@mark.parametrize(
    "url",
    [
        "ext::sh -c 'touch /tmp/x'",
        "ext::sh%20-c",
        "fd::17",
        "-oProxyCommand=x",
        "--upload-pack=x",
        "/etc",
        "../x",
        "",
        "file:///etc",
        "FILE:///etc",
        "ftp://host/x",
        "https://",
        "https:///repo",
        "https://host",
        "https://host/",
        "https://-host/repo",
        "ssh://-oProxyCommand=x/repo",
        "ssh://git@-oProxyCommand=x/repo",
        "git@-oProxyCommand=x:repo",
        "-x@host:repo",
        "git@host:-x",
        "https://user:secret@host/repo",
        "https://token@host/repo",
        "https://host:99999/repo",
        "https://host:x/repo",
        "https://host/re po",
        "https://host/re\0po",
        "https://host/re\npo",
        "https://ho\\st/repo",
        "https://[::1/repo",
    ],
)
def test_urls_that_git_must_not_see(url: str) -> None:
    with raises(SpecError) as caught:
        checked_url(url, USUAL, ())
    assert "secret" not in str(caught.value)


def test_a_file_url_needs_protocol_and_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "repo").mkdir(parents=True)
    url = f"file://{root}/repo"
    assert checked_url(url, (*USUAL, "file"), (root,)) == url
    for protocols, roots in [(USUAL, (root,)), ((*USUAL, "file"), ()), (("file",), (tmp_path / "other",))]:
        with raises(SpecError):
            checked_url(url, protocols, roots)


def test_a_file_url_cannot_leave_its_root(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "link").symlink_to(outside)
    (tmp_path / "root-too").mkdir()
    for path in (
        "/link",
        "/../outside",
        "/x/../../outside",
        "/%2e%2e/outside",
        "-too",
        "/nosuch",
        "/link/../../root/../outside",
    ):
        with raises(SpecError):
            checked_url(f"file://{root}{path}", ("file",), (root,))
    for url in (f"file://localhost{root}", "file://", "file:///", f"file://{root}?x", f"file://{root}#x"):
        with raises(SpecError):
            checked_url(url, ("file",), (root,))


def test_a_file_url_is_named_by_what_it_really_is(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path / "repo")
    assert checked_url(f"file://{tmp_path}/alias", ("file",), (tmp_path,)) == f"file://{tmp_path}/repo"


@mark.parametrize("ref", ["HEAD", "main", "feature/x", "v1.0", "a" * 40, "refs/heads/main", "é"])
def test_refs(ref: str) -> None:
    assert checked_ref(ref) == ref


@mark.parametrize(
    "ref", ["", "-x", "--upload-pack=x", "a..b", "a b", "a\0b", "a\nb", "a*", "a?", "a~1", "/a", "a:b"]
)
def test_refs_that_are_none(ref: str) -> None:
    with raises(SpecError, match="such as HEAD"):
        checked_ref(ref)


def test_an_exact_name_wins_over_the_first_line() -> None:
    a, b, c = "a" * 40, "b" * 40, "c" * 40
    listing = f"{a}\trefs/heads/old/main\n{b}\trefs/heads/main\n{c}\trefs/tags/main\n"
    assert choose(listing, "main") == b
    assert choose(f"{a}\trefs/remotes/x/main\n", "main") == a
    assert choose(f"{c}\trefs/tags/v1\n{a}\trefs/tags/v1^{{}}\n", "v1") == c
    assert choose("", "main") is None
    assert choose("warning: something\n", "main") is None
