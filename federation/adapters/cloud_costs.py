"""mybinder.org's cloud-costs.jsonl as a file. Knows no member and no sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from federation.adapters.errand import Errands
from federation.adapters.whole_file import write_whole


class CloudCostsFile:
    """`CloudCosts` on a file system, in a folder that is made when it is not there."""

    def __init__(self) -> None:
        self._errands = Errands("cloud costs")

    async def publish(self, path: str, entries: Sequence[Mapping[str, Any]]) -> None:
        data = b"".join(orjson.dumps(entry) + b"\n" for entry in entries)
        await self._errands.run(lambda: _write(Path(path), data))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data)
