"""The runtimes of a member, one row each: what builds and sessions run in."""

from collections.abc import Mapping

from members.runtimes.docker import docker_world
from members.runtimes.process import process_world
from members.runtimes.world import OpenWorld

RUNTIMES: Mapping[str, OpenWorld] = {"process": process_world, "docker": docker_world}
