"""From a member's settings to its registry. Knows neither its kinds nor its API."""

from __future__ import annotations

import os
from pathlib import Path

from members.adapters.registry import Place
from members.settings import Settings


def registry_place(settings: Settings) -> Place | None:
    """What `open_registry` opens; None when the images of this member stay on its own engine."""
    section = settings.registry
    if section.url is None:
        return None
    return Place(
        kind=section.kind,
        url=section.url,
        image_prefix=settings.image_prefix,
        docker_config=docker_config_folder(settings),
        cache=section.cache,
        username=section.username,
        password=None if section.password is None else section.password.get_secret_value(),
        token_url=section.token_url,
        helper_token=None if section.helper_token is None else section.helper_token.get_secret_value(),
        not_found_401=section.not_found_401,
        timeout=section.timeout,
    )


def docker_config_folder(settings: Settings) -> Path:
    """The folder of Docker's config.json: the setting, else ${DOCKER_CONFIG}, else Docker's own."""
    given = settings.registry.docker_config
    return given or Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
