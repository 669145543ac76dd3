"""A session's own place for packages on top of its image's read-only environment; starts nothing.

The layer is a virtual environment of its own that sees the image's packages behind it. `pip` is sent there by
PIP_PYTHON whichever Python runs it, and what it leaves in the image it only hides: installing, upgrading and
uninstalling behave as in a virtual environment with system packages. A `sitecustomize` shows the layer to the
image's own interpreter, so kernels, scripts and terminals all find what was installed. It is no plain
PYTHONPATH because that would go before the standard library and ignore `.pth` files (`pip install -e`).
"""

from __future__ import annotations

from pathlib import Path

from members.adapters import trees

_SITECUSTOMIZE = '''\
"""Shows the packages of this session to the Python of its image."""
import os
import site
import sys

ENVIRONMENT, PACKAGES = {environment!r}, {packages!r}

if os.path.realpath(sys.prefix) == os.path.realpath(ENVIRONMENT):
    before = list(sys.path)
    site.addsitedir(PACKAGES)
    added = [path for path in sys.path if path not in before]
    behind = next((i for i, path in enumerate(before) if path.startswith(sys.prefix + "/lib")), len(before))
    sys.path[:] = before[:behind] + added + before[behind:]
'''
_PIP = '#!/bin/sh\nexec "$(dirname -- "$0")/python" -m pip "$@"\n'


class NoEnvironment(Exception):
    """The image's `env` is not a virtual environment; the message says what is missing."""


def create(layer: Path, environment: Path, *, seen_layer: Path, seen_environment: Path) -> None:
    """Makes the empty layer at `layer` for the environment at `environment`.

    The `seen_` paths are the same two as the session sees them. Raises NoEnvironment.
    """
    try:
        settings = trees.read_text(environment / "pyvenv.cfg")
        site_packages = next(environment.glob("lib/python3.*/site-packages")).relative_to(environment)
    except (OSError, UnicodeDecodeError, StopIteration):
        raise NoEnvironment("the image's env has no pyvenv.cfg or no lib/python3.*/site-packages") from None
    own = layer / site_packages
    own.mkdir(parents=True)
    (layer / "pyvenv.cfg").write_text(settings, encoding="utf-8")
    behind = str(seen_environment / site_packages)
    (own / "image.pth").write_text(f"import site; site.addsitedir({behind!r})\n", encoding="utf-8")
    (layer / "bin").mkdir()
    for name in ("python", "python3"):
        (layer / "bin" / name).symlink_to(seen_environment / "bin" / "python")
    for name in ("pip", "pip3"):
        (layer / "bin" / name).write_text(_PIP, encoding="utf-8")
        (layer / "bin" / name).chmod(0o755)
    (layer / "startup").mkdir()
    code = _SITECUSTOMIZE.format(environment=str(seen_environment), packages=str(seen_layer / site_packages))
    (layer / "startup" / "sitecustomize.py").write_text(code, encoding="utf-8")


def variables(seen_layer: Path, seen_environment: Path) -> dict[str, str]:
    """The environment variables that make a process use the layer."""
    return {
        "PATH": f"{seen_layer}/bin:{seen_environment}/bin:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(seen_layer / "startup"),
        "PIP_PYTHON": str(seen_layer / "bin" / "python"),
        "VIRTUAL_ENV": str(seen_layer),
    }
