"""The description of the HTTP API as the tests read it: strictly, so that a key which it does not name is a fault."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import orjson
from jsonschema_rs import Draft202012Validator

from federation.web.openapi import document

BELOW = "/federation/v1"
VERBS = ("get", "post", "put", "patch", "delete")
STREAM = "text/event-stream"


def described() -> Any:
    """The description as it is published."""
    return orjson.loads(document())


def strictly() -> Any:
    """The description without leave to tell more than it says."""
    told = described()
    _close(told["components"])
    return told


def _close(told: Any) -> None:
    for one in told.values() if isinstance(told, dict) else told if isinstance(told, list) else ():
        _close(one)
    if isinstance(told, dict) and "object" in (
        kind if isinstance(kind := told.get("type"), list) else [kind]
    ):
        told.setdefault("additionalProperties", False)


def to_be_tried() -> Any:
    """What can be asked without end and is answered with an end: all that is there but the streams."""
    told = strictly()
    for path, operations in deepcopy(told["paths"]).items():
        gets = operations.get("get", {}).get("responses", {}).get("200", {})
        if STREAM in gets.get("content", {}):
            del told["paths"][path]
    return told


def faults(instance: object, schema: str) -> list[str]:
    """What of this is not as the schema of this name says."""
    whole = {"$ref": f"#/components/schemas/{schema}", "components": strictly()["components"]}
    return [
        f"{error.instance_path}: {error.message}"
        for error in Draft202012Validator(whole).iter_errors(instance)
    ]
