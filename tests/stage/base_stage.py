"""The base images on a test's engine; made once per machine, by the script that operators use."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import time
from pathlib import Path

import uv
from engine_stage import Engine

BASE = "binder-base:venv"  # for repo2docker's buildpacks: its user is root
NOTEBOOK = "binder-base:notebook"  # for FROM in a repository's own Dockerfile: its user is jovyan
_MAKER = Path(__file__).resolve().parents[2] / "members" / "buildpacks" / "make-base-image"
_IMPORTER = _MAKER.with_name("import-base-image")
_MAKE_LIMIT = 900.0  # seconds, of a first time on a slow day
_KEPT = 7 * 86400.0  # seconds that a base image nobody used stays in the cache


def load_base_images(engine: Engine) -> None:
    """Puts `BASE` and `NOTEBOOK` on an engine."""
    subprocess.run(
        [_IMPORTER, _root_file_system(), BASE, NOTEBOOK],
        env=engine.environment,
        check=True,
        timeout=300,
    )


def _root_file_system() -> Path:
    """The tar of the base image's file system, from the machine's cache if it was ever made there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "binder-federation"
    cache.mkdir(parents=True, exist_ok=True)
    parts = [_MAKER, *(_MAKER.parent / "base" / name for name in ("requirements.lock", "overrides.txt"))]
    digest = hashlib.sha256(b"\0".join(part.read_bytes() for part in parts)).hexdigest()[:16]
    tar = cache / f"base-{digest}.tar"
    with (cache / "base.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # of several test runs one makes it
        if not tar.exists():
            subprocess.run(
                [_MAKER, tar], env={**os.environ, "UV": uv.find_uv_bin()}, check=True, timeout=_MAKE_LIMIT
            )
        tar.touch()
        for other in cache.glob("base-*.tar"):  # another checkout may use one
            if other.stat().st_mtime < time.time() - _KEPT:
                other.unlink()
    return tar
