"""What a visitor pastes becomes the launch that they meant."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core.links import NotALink, launch_path, read_link
from federation.core.providers import BY_ID

VECTORS = json.loads(Path(__file__).with_name("link_vectors.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: ascii(v["text"]))
def test_pasted_text(vector: dict[str, Any]) -> None:
    offered = vector.get("offered", list(BY_ID))
    if "error" in vector:
        with pytest.raises(NotALink, match=vector["error"]):
            read_link(vector["text"], offered)
        return
    link = read_link(vector["text"], offered)
    assert asdict(link) == vector["link"]
    assert launch_path(link) == vector["launch"]


@given(st.text() | st.text(alphabet="gh/:@.v2?#%20-_tree"))
def test_any_text_gives_a_local_path_or_a_sentence(text: str) -> None:
    try:
        path = launch_path(read_link(text, list(BY_ID)))
    except NotALink as error:
        assert str(error).endswith((".", "…", "id"))
        return
    assert path.startswith("/v2/")
    assert path.isascii()
    assert ".." not in path.partition("?")[0].split("/")


@pytest.mark.parametrize("vector", [v for v in VECTORS if "launch" in v], ids=lambda v: ascii(v["launch"]))
def test_its_own_launch_links_are_read_back(vector: dict[str, Any]) -> None:
    link = read_link(vector["launch"], list(BY_ID))
    assert launch_path(link) == vector["launch"]
