"""What a local federation consists of: names, ports, and the configuration each part is started with.

Pure: knows no file, no process and no free port; those are arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from federation.core.operatortoken import digest
from federation.local.layout import FRONT_DOOR, Layout
from federation.local.ports import HOST

# The same for every member, or an image built by one is not found by the others. On Docker the registry's
# address goes before it: that is where an engine pushes to and pulls from.
IMAGE_PREFIX, DOCKER_IMAGE_PREFIX = "local/", "binder-"
OPERATOR = "local"  # whom the token in the ready file stands for
# What one notebook on Docker may take of somebody's own machine.
_DOCKER_SESSION = {"memory": "2G", "cpu": 2}


@dataclass(frozen=True, slots=True)
class MemberPlan:
    """One member and its hub, with the ports they keep for the whole run."""

    name: str
    port: int
    hub_port: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def hub_url(self) -> str:
        return f"http://{HOST}:{self.hub_port}/"


@dataclass(frozen=True, slots=True)
class Offer:
    """One launch on the front page: a git repository on this machine."""

    title: str
    text: str
    repo_url: str
    urlpath: str


@dataclass(frozen=True, slots=True)
class DockerPlan:
    """The engine that builds and sessions run on, what builds stand on, and the registry.

    `registry_image` is what the registry runs from; None: Debian's own program.
    """

    host: str
    buildpacks: str
    base_image: str | None
    registry_port: int
    registry_image: str | None

    @property
    def registry(self) -> str:
        """The registry's address, the beginning of every image's name."""
        return f"{HOST}:{self.registry_port}"

    @property
    def registry_url(self) -> str:
        return f"http://{self.registry}"


@dataclass(frozen=True, slots=True)
class PrometheusPlan:
    """The Prometheus that reads the metrics of all. `program` is its path, `rules` a folder of rules or None."""

    program: str
    port: int
    rules: str | None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole federation. `extra_front_door` and `extra_member` are the operator's own keys, `member_costs` what each
    member costs.

    `docker` is None for the process runtime, `prometheus` where none was asked for. `build_secret` is what front door
    and members sign with, `operator_token` what the front door knows its operator by.
    """

    port: int
    members: tuple[MemberPlan, ...]
    offers: tuple[Offer, ...]
    extra_front_door: Mapping[str, Any]
    extra_member: Mapping[str, Any]
    member_costs: Mapping[str, Any]
    build_secret: str
    operator_token: str
    docker: DockerPlan | None = None
    prometheus: PrometheusPlan | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


def front_door_document(plan: Plan, layout: Layout) -> dict[str, Any]:
    """The content of the front door's configuration file (config/federation.yaml)."""
    proposed: dict[str, Any] = {
        "title": "Local Binder Federation",
        "suggestions": [
            {
                "title": offer.title,
                "text": offer.text,
                "provider": "git",
                "repo": offer.repo_url,
                "ref": "HEAD",
                "urlpath": offer.urlpath,
            }
            for offer in plan.offers
        ],
        "refs": {"allow_private": True, "file_roots": [str(layout.repositories)]},
        "view_file": str(layout.view),
        "state_folder": str(layout.state(FRONT_DOOR)),
    }
    if plan.prometheus is not None:
        proposed["prometheus"] = {
            "url": plan.prometheus.url,
            "selector": 'member="%(member)s"',
            "interval": "5s",
        }
    settled = {
        "members": {
            member.name: {"url": member.url, "weight": 1, "costs": dict(plan.member_costs)}
            for member in plan.members
        },
        "build_tokens": {"secret": plan.build_secret},
        "operators": {OPERATOR: {"role": "operator", "tokens": [f"sha256:{digest(plan.operator_token)}"]}},
    }
    return merged(merged(proposed, plan.extra_front_door), settled)


def member_document(plan: Plan, member: MemberPlan, layout: Layout) -> dict[str, Any]:
    """The content of one member's configuration file (config/member.yaml)."""
    # All visitors of this machine have one address: a limit for each would be one for all.
    proposed = {"launch_host": f"{plan.url}/", "rate_limit": {"launches": 0}}
    settled = {
        "name": member.name,
        "host": HOST,
        "port": member.port,
        "state_dir": str(layout.state(member.name)),
        "hub": {"port": member.hub_port},
        "providers": {"git": _git_with_examples(plan.extra_member, layout)},
        "build_tokens": {"secret": plan.build_secret},
    }
    if plan.docker is None:
        proposed |= {"image_prefix": IMAGE_PREFIX}
        settled |= {"runtime": "process", "images": {"store": str(layout.images)}}
    else:
        proposed |= {"sessions": _DOCKER_SESSION}
        settled |= _on_docker(plan.docker, plan.extra_member)
    return merged(merged(proposed, plan.extra_member), settled)


def _on_docker(docker: DockerPlan, extra: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "runtime": "docker",
        "image_prefix": f"{docker.registry}/{extra.get('image_prefix', DOCKER_IMAGE_PREFIX)}",
        "docker": {"host": docker.host},
        "registry": {"url": docker.registry_url},
        "build": {"buildpacks": docker.buildpacks, "base_image": docker.base_image},
    }


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both mappings in one; where both have a key, mappings are merged and anything else is `above`'s."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def _git_with_examples(member: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    """The git provider's keys that let the examples in, next to whatever the operator lets in."""
    providers = member.get("providers")
    git = providers.get("git") if isinstance(providers, Mapping) else None
    protocols = _listed(git, "protocols") or ["http", "https", "git", "ssh"]
    return {
        "protocols": [*protocols, *(() if "file" in protocols else ("file",))],
        "file_roots": [*_listed(git, "file_roots"), str(layout.repositories)],
    }


def _listed(section: object, key: str) -> list[Any]:
    """The list at this key; anything else is left for the member's own check to complain about."""
    value = section.get(key) if isinstance(section, Mapping) else None
    return value if isinstance(value, list) else []
