"""The labels by which a member finds again what it put on a container engine. Knows no engine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

RUN = "binder.run"  # the key of the label that is of one run alone


@dataclass(frozen=True, slots=True)
class Labels:
    """Of every container and network of one run of a member.

    `member` is its name, for people. `state` stands for its resolved state folder: what has it and is no longer in
    use is a leftover of some run. `run` is of this run alone, so that nobody tidies up behind a run and takes the
    next one's with it.
    """

    member: str
    state: str
    run: str

    @property
    def all(self) -> Mapping[str, str]:
        return {"binder.member": self.member, "binder.state": self.state, RUN: self.run}

    @property
    def of_state(self) -> str:
        """The engine's filter for everything of every run."""
        return f"binder.state={self.state}"

    @property
    def of_run(self) -> str:
        """The engine's filter for everything of this run."""
        return f"{RUN}={self.run}"

    @property
    def network(self) -> str:
        """The name of the sessions' network, which members of one name do not share."""
        return f"binder-{self.member}-{self.state[:6]}"


def labels(member: str, state_dir: str, run: str) -> Labels:
    """`state_dir` is the resolved folder, `run` something that was never used before."""
    return Labels(member, hashlib.sha256(state_dir.encode()).hexdigest()[:12], run)
