"""Where repo2docker fetches repositories from, without asking the internet when that cannot matter."""

from __future__ import annotations

import shutil
from urllib.parse import urlsplit

from repo2docker import contentproviders
from repo2docker.utils import is_doi

_PLACES = ("/dataset.xhtml", "/file.xhtml", "/citation", "/api/access/datafile/")


class Dataverse(contentproviders.Dataverse):
    """repo2docker's own, which asks for the list of all Dataverse sites before it looks at anything.

    Where that list is out of reach, no git repository could be built any more.
    """

    def detect(self, spec: str, ref: str | None = None, extra_args: object = None) -> object:
        if not is_doi(spec) and not any(place in urlsplit(spec).path for place in _PLACES):
            return None
        return super().detect(spec, ref=ref, extra_args=extra_args)


def providers() -> list[type[contentproviders.base.ContentProvider]]:
    """All of repo2docker's, in its order. Mercurial is among them where hg is: without it, it fails every launch."""
    mercurial = [contentproviders.Mercurial] if shutil.which("hg") else []
    return [
        contentproviders.Local,
        contentproviders.Zenodo,
        contentproviders.Figshare,
        Dataverse,
        contentproviders.Hydroshare,
        contentproviders.Swhid,
        contentproviders.CKAN,
        *mercurial,
        contentproviders.Git,
    ]
