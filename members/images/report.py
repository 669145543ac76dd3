"""What `binder-member images` found and did, as tables for people or JSON for programs. Prints nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

from rich.table import Table

from members.core import units
from members.core.retention import Image, freed
from members.images.command import Pruned
from members.service.retention import Survey

COLLECT = (
    "The registry frees the disk only when its garbage is collected: for docker-registry, "
    "`docker-registry garbage-collect CONFIG`, while nobody pushes (docs/registry.md)."
)
UNRECORDED = (
    "Members that keep no records, such as stock BinderHubs, are not seen: an image that only they use counts "
    "from its creation."
)


def listed(survey: Survey) -> Table:
    """All images, those longest unused last."""
    table = Table(box=None, pad_edge=False)
    for name in ("image", "size", "created", "last used", "on"):
        table.add_column(name, justify="right" if name == "size" else "left", overflow="fold")
    for image in sorted(survey.images, key=_recent, reverse=True):
        use = image.last_use
        table.add_row(
            image.name,
            units.in_bytes(image.size),
            _day(image.pieces.created),
            _minute(use.at) if use else "no record",
            use.member if use else "",
        )
    return table


def summary(survey: Survey) -> str:
    distinct = {blob for image in survey.images for blob in image.pieces.blobs}
    size = units.in_bytes(sum(blob.size for blob in distinct))
    members = ", ".join(survey.known.members) or "no member yet"
    return f"{_count(len(survey.images))}, {size} in the registry. Records of use: {members}."


def planned(pruned: Pruned) -> Table:
    """What would go, and why; what stays is in `reasons`."""
    table = Table(box=None, pad_edge=False)
    for name in ("goes", "size", "why"):
        table.add_column(name, justify="right" if name == "size" else "left", overflow="fold")
    for verdict in pruned.verdicts:
        if verdict.goes:
            table.add_row(verdict.image.name, units.in_bytes(verdict.image.size), verdict.reason)
    return table


def plan(pruned: Pruned) -> str:
    going = sum(verdict.goes for verdict in pruned.verdicts)
    size = units.in_bytes(freed(pruned.verdicts))
    return (
        f"{_count(going)} of {len(pruned.verdicts)} would go, {size} that no other image shares. "
        f"Nothing has been deleted: add --yes to do it.\n{UNRECORDED}"
    )


def done(pruned: Pruned) -> str:
    """What has been deleted, and what stayed after all."""
    gone = _gone(pruned)
    stayed = [f"{one.image.name} stays: {one.kept}." for one in pruned.deleted if one.kept]
    told = f"{_count(len(gone))} deleted, {units.in_bytes(_freed(pruned))} that no other image shares."
    return "\n".join([*stayed, told, *([COLLECT] if gone else [])])


def listed_json(survey: Survey) -> str:
    return json.dumps(
        {"members": survey.known.members, "images": [_plain(image) for image in survey.images]}, indent=2
    )


def pruned_json(pruned: Pruned, *, dry_run: bool) -> str:
    """Every image with its verdict; `unshared_bytes` of those that would go, or are gone."""
    gone = _gone(pruned)
    kept = {one.image.name: one.kept for one in pruned.deleted if one.kept}
    images = [
        {
            **_plain(verdict.image),
            "goes": verdict.goes,
            "reason": kept.get(verdict.image.name, verdict.reason),
            "deleted": verdict.image.name in gone,
        }
        for verdict in pruned.verdicts
    ]
    size = freed(pruned.verdicts) if dry_run else _freed(pruned)
    told = {"dry_run": dry_run, "unshared_bytes": size, "error": pruned.fault or None, "images": images}
    return json.dumps(told, indent=2)


def _gone(pruned: Pruned) -> set[str]:
    return {one.image.name for one in pruned.deleted if not one.kept}


def _freed(pruned: Pruned) -> int:
    gone = _gone(pruned)
    return freed(replace(verdict, goes=verdict.image.name in gone) for verdict in pruned.verdicts)


def _plain(image: Image) -> dict[str, object]:
    use = image.last_use
    return {
        "image": image.name,
        "digest": image.pieces.digest,
        "size": image.size,
        "created": image.pieces.created,
        "last_used": use.at if use else None,
        "last_used_on": use.member if use else None,
    }


def _recent(image: Image) -> tuple[float, str]:
    return (image.last_use.at if image.last_use else image.pieces.created or 0.0), image.name


def _count(number: int) -> str:
    return "1 image" if number == 1 else f"{number} images"


def _day(at: float | None) -> str:
    return "unknown" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def _minute(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
