"""The Prometheus that watches a local federation: its port, its configuration, its program.

Starts nothing itself and knows no series.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from federation.local.child import Program
from federation.local.layout import PROMETHEUS, Layout
from federation.local.leash import leashed
from federation.local.plan import Plan, PrometheusPlan
from federation.local.ports import HOST, choose

# What is kept: whichever of the two ends first.
RETENTION, SIZE = "15d", "512MB"
_EVERY = "5s"
_RULES = Path("dashboards", "prometheus", "rules")
_INSTALLED_RULES = Path(sysconfig.get_path("data"), "share", "binder-federation", "rules")


class PrometheusMissing(Exception):
    """Prometheus was asked for and is not installed; the message says how to get it."""


def shipped_rules(home: Path, installed: Path = _INSTALLED_RULES) -> Path | None:
    """The folder of recording and alerting rules, of a clone or of an installation; None without any."""
    found = (folder for folder in (home / _RULES, installed) if any(folder.glob("*.yml")))
    return next(found, None)


def plan_prometheus(
    layout: Layout, rules: Path | None, environ: Mapping[str, str], taken: Collection[int] = ()
) -> PrometheusPlan:
    """Finds the program and chooses a port, the same one for a state folder while it is free.

    Raises PrometheusMissing, NoFreePort.
    """
    program = shutil.which(PROMETHEUS, path=environ.get("PATH", os.defpath))
    if program is None:
        raise PrometheusMissing(
            "Prometheus was asked for and is not installed: `apt-get install prometheus` brings it on Debian."
            " The one that Debian then runs by itself is not needed here. Or start without `--prometheus`."
        )
    (port,) = choose(1, seed=f"{layout.root} {PROMETHEUS}", taken=taken)
    return PrometheusPlan(program, port, None if rules is None else str(rules))


def prometheus_document(plan: Plan, prometheus: PrometheusPlan) -> dict[str, Any]:
    """The content of its configuration file. Series of a member have its name as their label `member`."""
    members = [
        {"targets": [f"{HOST}:{member.port}"], "labels": {"member": member.name}} for member in plan.members
    ]
    return {
        "global": {"scrape_interval": _EVERY, "scrape_timeout": _EVERY, "evaluation_interval": _EVERY},
        "rule_files": [] if prometheus.rules is None else [f"{prometheus.rules}/*.yml"],
        "scrape_configs": [
            {"job_name": "binder-federation", "static_configs": [{"targets": [f"{HOST}:{plan.port}"]}]},
            {"job_name": "binder-members", "static_configs": members},
        ],
    }


def prometheus_program(layout: Layout, prometheus: PrometheusPlan) -> Program:
    """Listens on loopback alone, and ends with `up` however that one ends."""
    argv = (
        prometheus.program,
        f"--config.file={layout.config(PROMETHEUS)}",
        f"--storage.tsdb.path={layout.state(PROMETHEUS)}",
        f"--storage.tsdb.retention.time={RETENTION}",
        f"--storage.tsdb.retention.size={SIZE}",
        f"--web.listen-address={HOST}:{prometheus.port}",
    )
    return Program(
        name=PROMETHEUS,
        argv=leashed(argv),
        log=layout.log(PROMETHEUS),
        pid_file=layout.pid(PROMETHEUS),
        port=prometheus.port,
        folder=layout.root,
        env={},
    )
