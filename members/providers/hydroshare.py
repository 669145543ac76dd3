"""Resources on HydroShare: anything with 32 hexadecimal digits. A version is the time of the last change."""

from __future__ import annotations

import re
from urllib.parse import unquote

from yarl import URL

from members.core.model import Resolved, ResolveError, SpecError
from members.providers.ask import Service, ask, same_host
from members.providers.base import Tools, WebConfig, checked_spec
from members.providers.dates import epoch
from members.providers.fields import WebUrl

_EXAMPLE = "8f7c2f0341ef4180b0dbe97f59130756"
_EXPECTED = f"a resource's id or URL, such as {_EXAMPLE}"
_ID = re.compile(r".*([0-9a-f]{32})")  # the last one, where there are several


class HydroshareConfig(WebConfig):
    """`providers.hydroshare`."""

    api_url: WebUrl = "https://www.hydroshare.org/hsapi"


class Hydroshare:
    """The provider `hydroshare`. Raises what `members.service.ports.Provider` says."""

    id = "hydroshare"
    name = "Hydroshare"
    head_fallback = False

    def __init__(self, config: HydroshareConfig, tools: Tools) -> None:
        self._config = config
        self._service = Service("HydroShare", tools.http, config.timeout)

    async def resolve(self, spec: str) -> Resolved | None:
        match = _ID.match(unquote(checked_spec(spec, _EXPECTED)))
        if match is None:
            raise SpecError(f"{spec!r} names no resource of HydroShare's; expected {_EXPECTED}.")
        resource = match[1]
        ref = f"{resource}.v{await self._modified(resource)}"
        page = f"https://www.hydroshare.org/resource/{resource}"
        return Resolved(
            provider=self.id,
            spec=spec,
            repo_url=page,
            ref=ref,
            ref_url=page,
            resolved_spec=page,
            build_slug=f"hydroshare-{ref}",
            is_git=False,
        )

    async def _modified(self, resource: str) -> int:
        url = URL(f"{self._config.api_url}/resource/{resource}/scimeta/elements")
        elements = (await ask(self._service, url, admit=same_host(url))).required().document()
        dates = elements.get("dates") if isinstance(elements, dict) else None
        for date in dates if isinstance(dates, list) else []:
            if isinstance(date, dict) and date.get("type") == "modified":
                return epoch("HydroShare", date.get("start_date"))
        raise ResolveError("HydroShare's answer has no time of the last change")

    def display(self) -> dict[str, object]:
        return {
            "displayName": "Hydroshare resource",
            "id": self.id,
            "spec": {"validateRegex": "[^/]+"},
            "repo": {
                "label": "Hydroshare resource id",
                "placeholder": f"example: {_EXAMPLE}",
                "urlEncode": True,
            },
            "ref": {"enabled": False},
        }
