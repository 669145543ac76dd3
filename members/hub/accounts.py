"""JupyterHub for visitors who log in: the operator's authenticator, and the member as an OAuth client."""

from __future__ import annotations

from traitlets.config import Config

from members.adapters.hub_login import CLIENT_ID
from members.adapters.hub_parameters import Accounts, HubParameters


def configure(c: Config, parameters: HubParameters, accounts: Accounts) -> None:
    """The hub's own pages can be reached here: visitors log in there and see what runs in their name."""
    hub = c.JupyterHub
    hub.authenticator_class = accounts.authenticator
    for name, settings in accounts.config.items():
        c[name].update(settings)
    hub.services = [
        {
            "name": "binder",
            "api_token": parameters.api_token,
            "oauth_client_id": CLIENT_ID,
            "oauth_redirect_uri": accounts.callback_url,
            "oauth_no_confirm": True,  # the member asks for the visitor's name and nothing else
        }
    ]
    hub.load_roles = [
        {"name": "user", "scopes": ["self", "access:services!service=binder"]},
    ]
    hub.allow_named_servers = accounts.named_servers is not None
    hub.named_server_limit_per_user = accounts.named_servers or 0
