"""The registry that the members of a local federation share: its port, its configuration, its program.

Starts nothing itself and knows no image.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from typing import Any

from federation.local.child import Program
from federation.local.equipment import REGISTRY_PROGRAM
from federation.local.files import write_private
from federation.local.layout import REGISTRY, Layout
from federation.local.leash import leashed
from federation.local.plan import DockerPlan
from federation.local.ports import choose, is_free

# A container of a killed `up` would hold the name and the port: it goes first.
_RUN = 'docker rm --force "$1" >/dev/null 2>&1; name=$1; shift; exec docker run --rm --name "$name" "$@"'


def kept_port(layout: Layout, taken: Collection[int] = ()) -> tuple[int, int | None]:
    """The registry's port and, when that had to change, the one it had before.

    The port is part of every image's name, so it stays with the state folder. The registry itself files images
    without it: under a new port all are found again, each engine only pulls once more. Raises NoFreePort.
    """
    before = _read(layout)
    if before is not None and before not in taken and is_free(before):
        return before, None
    (port,) = choose(1, seed=f"{layout.root} registry", taken=taken)
    write_private(layout.registry_port, f"{port}\n")
    return port, before


def registry_document(layout: Layout, docker: DockerPlan) -> dict[str, Any]:
    """The content of the registry's configuration file."""
    return {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(layout.registry)},
            "delete": {"enabled": True},
        },
        "http": {"addr": docker.registry},
    }


def registry_program(layout: Layout, docker: DockerPlan) -> Program:
    """Debian's registry as a process, or the `registry` image in a container that ends with its command."""
    config = layout.config(REGISTRY)
    if docker.registry_image is None:
        argv: tuple[str, ...] = (REGISTRY_PROGRAM, "serve", str(config))
    else:
        container = _container(layout, docker.registry_image)
        argv = ("/bin/sh", "-c", _RUN, "registry", container_name(layout), *container)
    return Program(
        name=REGISTRY,
        argv=leashed(argv),
        log=layout.log(REGISTRY),
        pid_file=layout.pid(REGISTRY),
        port=docker.registry_port,
        folder=layout.root,
        env={"DOCKER_HOST": docker.host},
    )


def container_name(layout: Layout) -> str:
    """Of the registry's container, if it runs in one: the same for a state folder, another for any other."""
    return f"binder-registry-{hashlib.sha256(os.fsencode(layout.root)).hexdigest()[:12]}"


def _container(layout: Layout, image: str) -> tuple[str, ...]:
    """Of the host's network, since it listens on loopback; of this user, to whom its files then belong."""
    data, config = layout.registry, layout.config(REGISTRY)
    return (
        *("--network", "host", "--user", f"{os.getuid()}:{os.getgid()}"),
        *("--volume", f"{data}:{data}", "--volume", f"{config}:/registry.yml:ro"),
        *(image, "/registry.yml"),
    )


def _read(layout: Layout) -> int | None:
    try:
        return int(layout.registry_port.read_text())
    except (OSError, ValueError):
        return None
