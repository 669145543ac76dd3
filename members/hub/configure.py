"""Sets JupyterHub up in BinderHub's manner: temporary users, no login, driven by one service token.

Knows JupyterHub's settings; the sessions themselves are the spawners'.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from traitlets.config import Config

from members.adapters.hub_parameters import DockerSessions, HubParameters, ProcessSessions
from members.adapters.leash import leashed
from members.hub import accounts, docker_spawner, process_spawner
from members.hub.jupyter import require_options
from members.hub.steady_proxy import SteadyProxy

_TEMPLATES = Path(__file__).with_name("templates")
_LOOPBACK = "http://127.0.0.1"


def configure(c: Config, parameters: HubParameters) -> None:
    """Writes every setting that differs from JupyterHub's defaults into `c`."""
    _hub(c, parameters)
    if parameters.accounts is None:
        _strangers(c, parameters)
    else:
        accounts.configure(c, parameters, parameters.accounts)
    _proxy(c, parameters)
    _service_accounts(c, parameters)
    _activity(c, parameters)
    _sessions(c, parameters)


def _hub(c: Config, parameters: HubParameters) -> None:
    hub = c.JupyterHub
    hub.bind_url = parameters.bind_url
    hub.hub_bind_url = f"{_LOOPBACK}:{parameters.hub_port}"
    hub.template_paths = [str(_TEMPLATES)]
    hub.template_vars = {"front_door": parameters.front_door}
    # Nothing of a hub outlives it: sessions die with it, so remembered users would be lies.
    hub.db_url = "sqlite:///:memory:"
    hub.cookie_secret = bytes.fromhex(parameters.cookie_secret)
    hub.log_level = logging.getLevelNamesMapping()[parameters.log_level.upper()]


def _strangers(c: Config, parameters: HubParameters) -> None:
    """No login. Sessions and the token-guarded API can be reached, none of the hub's own pages.

    Every other address gets the proxy's error page, which our templates word.
    """
    c.JupyterHub.authenticator_class = "null"
    c.JupyterHub.hub_routespec = f"{parameters.base_url}hub/api/"
    c.JupyterHub.services = [{"name": "binder", "api_token": parameters.api_token}]
    c.JupyterHub.load_roles = []


def _proxy(c: Config, parameters: HubParameters) -> None:
    c.JupyterHub.proxy_class = SteadyProxy
    proxy = c.SteadyProxy
    proxy.command = leashed(parameters.proxy_command, parent=os.getpid())
    proxy.api_url = f"{_LOOPBACK}:{parameters.proxy_port}"
    proxy.auth_token = parameters.proxy_token
    # JupyterHub kills whom this file names: HubProcess removes it before each start.
    proxy.pid_file = str(parameters.proxy_pid_file)
    proxy.check_running_interval = 1  # seconds until a dead proxy is started again with all routes
    proxy.log_level = "warn"


def _service_accounts(c: Config, parameters: HubParameters) -> None:
    hub = c.JupyterHub
    cull_every = max(1, min(60, int(parameters.idle_timeout / 4)))
    culler = [
        *(sys.executable, "-m", "jupyterhub_idle_culler"),
        *(f"--cull-users={parameters.accounts is None}", f"--cull-every={cull_every}"),
        *(f"--timeout={max(1, int(parameters.idle_timeout))}", f"--max-age={int(parameters.max_age)}"),
    ]
    hub.services.append({"name": "idle-culler", "command": leashed(culler, parent=os.getpid())})
    hub.trust_user_provided_tokens = True  # made by us from 32 random bytes
    hub.load_roles += [
        {
            "name": "binder",
            "services": ["binder"],
            "scopes": ["admin:users", "admin:servers", "read:hub", "proxy"],
        },
        {
            "name": "idle-culler",
            "services": ["idle-culler"],
            "scopes": ["list:users", "read:users:activity", "admin:users", "read:servers", "delete:servers"],
        },
    ]


def _activity(c: Config, parameters: HubParameters) -> None:
    """Sessions do not report to the hub: their activity is what the proxy saw, fetched in time to cull."""
    step = max(1, min(60, int(parameters.idle_timeout / 4)))
    c.JupyterHub.last_activity_interval = step
    c.JupyterHub.activity_resolution = min(30, step)


def _sessions(c: Config, parameters: HubParameters) -> None:
    hub = c.JupyterHub
    # A launch follows the progress stream; the request that starts it does not wait.
    hub.tornado_settings = {"slow_spawn_timeout": 0}
    hub.active_server_limit = parameters.max_sessions or 0
    hub.concurrent_spawn_limit = 0  # the limit above is the only one
    spawner = c.Spawner
    spawner.apply_user_options = require_options
    spawner.start_timeout = max(1, int(parameters.launch_timeout))
    spawner.http_timeout = max(1, int(parameters.launch_timeout))
    spawner.poll_interval = 5  # seconds until a session that ended by itself is noticed
    match parameters.sessions:
        case ProcessSessions() as sessions:
            process_spawner.configure(c, parameters, sessions)
        case DockerSessions() as sessions:
            docker_spawner.configure(c, parameters, sessions)
