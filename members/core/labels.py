"""The labels by which a member finds again what it put on a container engine. Knows no engine."""

from __future__ import annotations

import hashlib

STATE = "binder.state"
_MEMBER = "binder.member"


def labels(member: str, state_dir: str) -> dict[str, str]:
    """Of every container and network of a member: its name for people, its resolved state folder for itself."""
    return {_MEMBER: member, STATE: hashlib.sha256(state_dir.encode()).hexdigest()[:12]}


def mine(labels: dict[str, str]) -> str:
    """The engine's filter for everything that these labels are on, whatever the member was called then."""
    return f"{STATE}={labels[STATE]}"


def network_name(member: str, labels: dict[str, str]) -> str:
    """Of the sessions' network, when the operator gave none; members of one name do not share it."""
    return f"binder-{member}-{labels[STATE][:6]}"
