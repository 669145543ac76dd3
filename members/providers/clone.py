"""What git clones private repositories with, from the tokens of a provider. Knows no git."""

from __future__ import annotations

from pydantic import SecretStr

from members.providers.base import ProviderConfig
from members.providers.githubapi import GitHubApiConfig
from members.providers.gitlab import GitLabConfig


def clone_credentials(config: ProviderConfig) -> str | None:
    r"""BinderHub's `git_credentials` (BINDER-PROTOCOL §3): lines for a credential helper, joined by a literal \n."""
    match config:
        case GitHubApiConfig(access_token=SecretStr() as token, client_id=str(client)):
            return _lines(client, token.get_secret_value())
        case GitHubApiConfig(access_token=SecretStr() as token):
            return _lines(token.get_secret_value(), "x-oauth-basic")
        case GitLabConfig(private_token=SecretStr() as token):
            return _lines("binderhub", token.get_secret_value())
        case _:
            return None


def _lines(username: str, password: str) -> str:
    return rf"username={username}\npassword={password}"
