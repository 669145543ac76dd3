"""Whether a container engine can hold sessions and builds, by its own word. Asks no engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OLDEST_API = (1, 41)  # of engine 20.10, the oldest that this was tried with
# Containers of such a network reach the world and are reached by this machine, but not by each other. An engine
# that may not touch iptables takes the option and does not hold to it.
ALONE: Mapping[str, str] = {"com.docker.network.bridge.enable_icc": "false"}
_LIMITS = {  # what /info says, and what of sessions it is about
    "MemoryLimit": "memory",
    "SwapLimit": "swap",
    "CpuCfsQuota": "processor time",
    "PidsLimit": "processes",
}
_REACHABLE = (
    "The container engine's kernel does not show traffic on bridges to iptables (net.bridge.bridge-nf-call-iptables):"
    " sessions reach each other's ports, where only their tokens guard them"
)
_UNLIMITED_STEPS = (
    "The container engine keeps its images with containerd: the steps of builds are not limited, which needs the"
    ' engine\'s own store ("features": {"containerd-snapshotter": false} in its daemon.json)'
)


def unfit(version: Mapping[str, Any], info: Mapping[str, Any]) -> str | None:
    """Why nothing could run there, as a sentence that goes on after the engine's address; None when it can.

    `version` and `info` are the engine's answers of these names.
    """
    if any("podman" in str(part.get("Name")).lower() for part in version.get("Components") or ()):
        return "is podman's: expected Docker's engine, because repo2docker builds with its BuildKit"
    if _api(version) < OLDEST_API:
        return f"is {version.get('Version')}: expected 20.10 or newer"
    if "name=rootless" in _security(info):
        return (
            "is rootless: expected one that runs as root, because the addresses of a rootless engine's containers"
            " cannot be reached"
        )
    if info.get("OSType") not in (None, "linux"):
        return f"has containers of {info['OSType']}: expected linux"
    return None


def shortcomings(info: Mapping[str, Any]) -> list[str]:
    """What the engine cannot do that operators rely on, as sentences."""
    found = []
    missing = [what for key, what in _LIMITS.items() if info.get(key) is False]
    if missing:
        found.append(
            f"The container engine does not limit {', '.join(missing)} of sessions: its kernel cannot"
        )
    if info.get("BridgeNfIptables") is False:
        found.append(_REACHABLE)
    if ["driver-type", "io.containerd.snapshotter.v1"] in (info.get("DriverStatus") or ()):
        found.append(_UNLIMITED_STEPS)
    return found


def gateway(network: Mapping[str, Any]) -> str | None:
    """This machine's address in a network, where its containers reach it; `network` is the engine's answer."""
    configured = (network.get("IPAM") or {}).get("Config") or ()
    return next((str(each["Gateway"]) for each in configured if each.get("Gateway")), None)


def keeps_apart(network: Mapping[str, Any]) -> bool:
    """Whether a network was made so that its containers do not reach each other."""
    options = network.get("Options") or {}
    return network.get("Driver") == "bridge" and all(
        options.get(key) == value for key, value in ALONE.items()
    )


def _api(version: Mapping[str, Any]) -> tuple[int, int]:
    major, _, minor = str(version.get("ApiVersion")).partition(".")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else (0, 0)


def _security(info: Mapping[str, Any]) -> set[str]:
    """Options such as `name=seccomp,profile=default`, without what comes after the name."""
    return {str(option).partition(",")[0] for option in info.get("SecurityOptions") or ()}
