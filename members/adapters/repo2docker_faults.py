"""Whose fault a failed build is: the repository's, or this member's. Decides from evidence; asks nobody.

Front doors hand a launch over to another member when a member is to blame, so a repository must not be able to
have its own faults counted as the member's: see `Evidence`.
"""

from __future__ import annotations

import re

from members.adapters.repo2docker_log import Evidence
from members.core.model import BeyondMember, BuildBroken, BuildFailed

_KILLED = 128 + 9  # status of a process that the kernel or an operator ended

# BuildKit's words for a step of the repository that ended with another status than 0.
_STEP = re.compile(r"executor failed running|did not complete successfully: exit code")
_SOLVE = "failed to solve"  # every error has this that is not of the time after the build
_STEP_KILLED = re.compile(r"exit code: 137\b")

# What the tools say when something of this machine, or between it and the registry, does not work.
_OURS = (
    (
        re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE),
        "The disk of this member is full.",
    ),
    (
        re.compile(
            r"failed to receive status|Cannot connect to the Docker daemon|error during connect"
            r"|error reading from server|transport is closing|code = Unavailable"
        ),
        "The container engine of this member stopped in the middle of the build.",
    ),
)
_HINT = "A step was killed, most likely because it used more memory, or wrote more to disk, than it may."
_NOT_PUSHED = "The image was built, but the registry of images did not take it."
_NETWORK = (
    r"no such host|connection refused|i/o timeout|network is unreachable|TLS handshake timeout|toomanyrequests"
    r"|server misbehaving|context deadline exceeded|50[0-9] |connection reset|no route to host|: EOF"
)
_DOCKER_HUB = r"(?:registry-1|auth|index)\.docker\.io"
_GIT_UNREACHABLE = re.compile(
    r"could not resolve host|couldn't resolve host|unable to look up|failed to connect|connection timed out"
    r"|connection refused|network is unreachable|no route to host|temporary failure in name resolution"
    r"|the requested url returned error: 5\d\d|operation too slow|max retries exceeded"
    r"|connection (?:was )?reset|early eof|rpc failed|the remote end hung up unexpectedly",
    re.IGNORECASE,
)
_BEYOND = "which this member does not build"  # in the words of members/buildpacks/refusals.py
_NOT_CLONED = "Failed to clone repository from"
_TOOL = re.compile(r"The (?P<tool>docker commandline client|buildx plugin) must be installed")


def judge(evidence: Evidence, status: int, *, base_image: str | None) -> BuildFailed | BuildBroken:
    """The error to raise for a build of which repo2docker said `evidence` and ended with `status`."""
    if evidence.failed is None and status == _KILLED:
        return BuildBroken("The build was killed from outside on this member.")
    failed = evidence.failed or _last_word(evidence, status)
    fault = _in_repo2docker(failed) or _in_fetching(evidence, failed) or _in_building(evidence, base_image)
    if fault is not None:
        return BuildBroken(fault)
    if not evidence.building and _BEYOND in failed:
        return BeyondMember(failed)
    if failed == "Error during build:":  # Python's MemoryError has no text
        return BuildFailed(f"{failed} the repository is too large to be built with this memory.")
    if _STEP_KILLED.search(evidence.error):
        return BuildFailed(f"{failed}\n{_HINT}")
    return BuildFailed(failed)


def _in_repo2docker(failed: str) -> str | None:
    tool = _TOOL.search(failed)
    return f"The {tool['tool']} does not work on this member." if tool else None


def _in_fetching(evidence: Evidence, failed: str) -> str | None:
    if evidence.building:
        return None
    # To write to a server that has gone kills git before it can say a word; of all else it complains.
    broken_off = _NOT_CLONED in failed and not evidence.git
    if broken_off or _GIT_UNREACHABLE.search(evidence.git or failed):
        return "The repository's server could not be reached."
    return None


def _in_building(evidence: Evidence, base_image: str | None) -> str | None:
    error = evidence.error
    if _STEP.search(error):
        return None  # what a step says of itself counts not
    if "failed to push" in error or (evidence.pushing and error and _SOLVE not in error):
        return _NOT_PUSHED
    for pattern, message in _OURS:
        if pattern.search(error):
            return message
    if _base_unreachable(error, base_image):
        return "The image to build on could not be fetched: its registry does not answer."
    return None


def _last_word(evidence: Evidence, status: int) -> str:
    words = evidence.other.strip().rpartition("\n")[2]
    return f"{words} (exit status {status})" if words else f"The build ended with exit status {status}."


def _base_unreachable(error: str, base_image: str | None) -> bool:
    """Whether a registry that many repositories build on does not answer; one that a repository chose counts not."""
    hosts = [_DOCKER_HUB]
    if base_image is not None and "/" in base_image:
        hosts.append(re.escape(base_image.partition("/")[0]))
    return bool(re.search("|".join(hosts), error) and re.search(_NETWORK, error))
