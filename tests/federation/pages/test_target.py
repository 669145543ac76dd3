"""Where a launched visitor is sent: never outside the server, and exactly where BinderHub's links point."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core.target import UnsafeTarget, server_target

VECTORS = json.loads(Path(__file__).with_name("target_vectors.json").read_text())
SERVER = "https://hub.example.org/user/alice/"


def asked(vector: dict[str, Any]) -> dict[str, str]:
    return {key: vector[key] for key in ("urlpath", "labpath", "filepath") if key in vector}


@pytest.mark.parametrize("vector", VECTORS["safe"], ids=lambda v: ascii(v["target"]))
def test_stays_on_the_server(vector: dict[str, Any]) -> None:
    assert server_target(vector["server"], vector["token"], **asked(vector)) == vector["target"]


@pytest.mark.parametrize("vector", VECTORS["unsafe"], ids=lambda v: ascii((v["server"], asked(v))))
def test_refuses_to_leave_the_server(vector: dict[str, Any]) -> None:
    with pytest.raises(UnsafeTarget, match=vector["why"]):
        server_target(vector["server"], vector["token"], **asked(vector))


HOSTILE = st.lists(
    st.sampled_from(
        ["..", ".", "/", "\\", "%2e", "%2f", "%5c", "%25", ":", "//", "a", "?", "#", "@", ";", "\t", "http"]
    )
).map("".join)


@given(urlpath=HOSTILE | st.text())
def test_no_text_at_all_escapes(urlpath: str) -> None:
    try:
        target = server_target(SERVER, "T", urlpath=urlpath)
    except UnsafeTarget:
        return
    path = target.removeprefix(SERVER).partition("?")[0].partition("#")[0]
    assert target.startswith(SERVER)
    assert ".." not in path.split("/")
    assert target.isascii()
    assert target.isprintable()
