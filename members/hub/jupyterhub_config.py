"""The file JupyterHub loads. Knows only where its parameters are; members/hub/configure.py does the rest."""

import os
from pathlib import Path

from members.adapters.hub_parameters import VARIABLE, read
from members.hub.configure import configure

configure(c, read(Path(os.environ[VARIABLE])))  # type: ignore[name-defined]  # noqa: F821
