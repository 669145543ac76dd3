"""What every session's Jupyter server is told, in BinderHub's manner; knows no runtime."""

from __future__ import annotations

from collections.abc import Mapping

from jupyterhub.spawner import Spawner
from tornado.web import HTTPError

APPLICATIONS = ("NotebookApp", "ServerApp")  # old servers read the first, new ones the second
# BinderHub's variable and the launch's option it is filled from.
_BINDER_VARIABLES = (
    ("BINDER_REPO_URL", "repo_url"),
    ("BINDER_REF_URL", "binder_ref_url"),
    ("BINDER_LAUNCH_HOST", "binder_launch_host"),
    ("BINDER_REQUEST", "binder_request"),
    ("BINDER_PERSISTENT_REQUEST", "binder_persistent_request"),
    ("BINDER_CLIENT_IP", "binder_client_ip"),
)


def require_options(spawner: Spawner, options: Mapping[str, object]) -> None:
    """JupyterHub's hook before a start: refuses one without `image` or `token` with status 400."""
    for name in ("image", "token"):
        value = options.get(name)
        if not isinstance(value, str) or not value:
            raise HTTPError(400, f"{name} required")


def arguments(settings: Mapping[str, str], *, base_url: str, allow_origin: str) -> list[str]:
    """Command line arguments: `settings` and those that every server gets, each for old and new servers.

    The token is not here but in the environment: command lines are shown to everyone.
    """
    common = {
        "port_retries": "0",
        "base_url": base_url,
        "trust_xheaders": "True",
        "allow_remote_access": "True",  # the visitor's Host header is the public one
        "open_browser": "False",
    }
    if allow_origin:
        common["allow_origin"] = allow_origin
    if allow_origin == "*":
        common["allow_origin_pat"] = ".*"
    together = {**settings, **common}
    return [f"--{name}.{key}={value}" for key, value in together.items() for name in APPLICATIONS]


def variables(options: Mapping[str, object], *, user: str, base_url: str) -> dict[str, str]:
    """Environment variables: the session's token, and what BinderHub tells a repository of its launch."""
    found = {name: str(options[key]) for name, key in _BINDER_VARIABLES if options.get(key) is not None}
    return found | {
        "JUPYTER_TOKEN": str(options["token"]),
        "JUPYTERHUB_USER": user,
        "JUPYTERHUB_SERVICE_PREFIX": base_url,
    }
