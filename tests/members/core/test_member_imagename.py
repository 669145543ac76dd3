import re
import string

import escapism
from hypothesis import given
from hypothesis import strategies as st
from pytest import mark

from members.core.imagename import build_name, escape, image_name, slug, without_tag

PREFIX = "oci.2i2c.mybinder.org/mybinder-builds/i-"
OCTAVE = "1479e0252b2e648bb755ee913292b79495931717"
CONDA = "034931911e853252322f2309f1246a4f1076fd7d"
FOSS = "b3344b7f17c335a817c5d7608c5e47fd7cabc023"

VECTORS = [
    (
        "binder-examples-octave",
        OCTAVE,
        f"binder-2dexamples-2doctave-03025a:{OCTAVE}",
        "build-binder-2dexamples-2doctave-03025a-147-e2",
    ),
    (
        "https://github.com/binder-examples/conda",
        CONDA,
        f"https-3a-2f-2fgithub-2ecom-2fbinder-2dexamples-2fconda-3ffdf0:{CONDA}",
        "build-https-3a-2f-2fgithub-2ecom-2fbinder-2dexamp-3ffdf0-034-81",
    ),
    (
        "gitlab_-org-gitlab_-foss",
        FOSS,
        f"gitlab-5f-2dorg-2dgitlab-5f-2dfoss-a53a80:{FOSS}",
        "build-gitlab-5f-2dorg-2dgitlab-5f-2dfoss-a53a80-b33-2f",
    ),
    ("zenodo-3242074", "3242074", "zenodo-2d3242074-b993d2:3242074", "build-zenodo-2d3242074-b993d2-324-ea"),
    ("MyOrg-My_Repo.x", "a" * 40, "myorg-2dmy-5frepo-2ex-776bac:" + "a" * 40, None),
]


@mark.parametrize(("build_slug", "ref", "image", "build"), VECTORS)
def test_names_are_upstreams(build_slug: str, ref: str, image: str, build: str | None) -> None:
    assert image_name("", build_slug, ref) == image
    assert image_name(PREFIX, build_slug, ref) == PREFIX + image
    assert build is None or build_name(build_slug, ref) == build


def test_the_image_of_a_recorded_launch() -> None:
    name = image_name("127.0.0.1:5000/m8200/", "git://127.0.0.1:9418/req.git", "667bf925d2cf")
    assert name == ("127.0.0.1:5000/m8200/git-3a-2f-2f127-2e0-2e0-2e1-3a9418-2freq-2egit-fd8f6b:667bf925d2cf")


def test_underscores_become_dashes_in_prefix_and_ref_too() -> None:
    assert image_name("my_prefix-", "a", "v_1").startswith("my-prefix-a-")
    assert image_name("", "a", "v_1").endswith(":v-1")


def test_spellings_that_differ_in_case_have_different_images() -> None:
    assert image_name("", "User-Repo", "r") != image_name("", "user-repo", "r")


@mark.parametrize(
    ("char", "escaped"), [("-", "-2D"), ("é", "-C3-A9"), ("\n", "-A"), ("/", "-2F"), ("_", "-5F")]
)
def test_escape_is_hex_per_byte_without_padding(char: str, escaped: str) -> None:
    assert escape(char) == escaped


@given(st.text(alphabet=st.characters(min_codepoint=32, exclude_categories=("Cs",))))
def test_escape_loses_nothing(text: str) -> None:
    """From the blank on, every byte has two digits, so the text can be read back."""
    data = bytearray()
    rest = escape(text)
    while rest:
        if rest[0] == "-":
            data.append(int(rest[1:3], 16))
            rest = rest[3:]
        else:
            data.append(ord(rest[0]))
            rest = rest[1:]
    assert data.decode() == text


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",))))
def test_escape_is_that_of_the_library_that_binderhub_uses(text: str) -> None:
    assert escape(text) == escapism.escape(text, safe=string.ascii_letters + string.digits, escape_char="-")


@given(
    st.sampled_from(["", "127.0.0.1:5000/binder-", PREFIX]),
    st.text(max_size=400, alphabet=st.characters(exclude_categories=("Cs",))),
    st.from_regex(r"[0-9a-f]{7,40}", fullmatch=True),
)
def test_image_names_are_what_registries_take(prefix: str, build_slug: str, ref: str) -> None:
    name, _, tag = image_name(prefix, build_slug, ref).rpartition(":")
    assert tag == ref
    assert name.startswith(prefix)
    assert len(name) <= 255
    assert re.fullmatch(r"-*[a-z0-9]+(-+[a-z0-9]+)*", name[len(prefix) :])


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",))), st.integers(10, 255))
def test_slug_fits_and_is_lower_case_ascii(text: str, limit: int) -> None:
    made = slug(text, limit, 6)
    assert len(made) <= limit
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


@given(
    st.text(min_size=1, alphabet=st.characters(exclude_categories=("Cs",))),
    st.text(min_size=1, alphabet=st.characters(exclude_categories=("Cs",))),
)
def test_build_name_fits_kubernetes(build_slug: str, ref: str) -> None:
    assert len(build_name(build_slug, ref)) <= 63


@mark.parametrize(
    ("image", "name"),
    [("a/b:1", "a/b"), ("host:5000/b", "host:5000/b"), ("host:5000/b:x", "host:5000/b"), ("plain", "plain")],
)
def test_without_tag(image: str, name: str) -> None:
    assert without_tag(image) == name
