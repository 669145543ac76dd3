"""Sums up the events of an image's pull, which come for each layer by itself. Knows no engine and no time."""

from __future__ import annotations

from collections.abc import Mapping

_MB = 10**6


class PullProgress:
    """What has come of the layers that the engine did not have."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[int, int]] = {}  # bytes that came, of bytes in all

    def note(self, event: Mapping[str, object]) -> None:
        """Takes one event of the engine; those that tell nothing of sizes change nothing."""
        layer, status, detail = event.get("id"), event.get("status"), event.get("progressDetail")
        if not isinstance(layer, str):
            return
        if status == "Downloading" and isinstance(detail, Mapping):
            current, total = detail.get("current"), detail.get("total")
            if isinstance(current, int) and isinstance(total, int) and total > 0:
                self._layers[layer] = (min(current, total), total)
        elif status in ("Download complete", "Extracting", "Pull complete") and layer in self._layers:
            total = self._layers[layer][1]
            self._layers[layer] = (total, total)

    @property
    def size(self) -> int:
        """Bytes of the layers that are known so far; the engine tells them as it begins with each."""
        return sum(total for _, total in self._layers.values())

    @property
    def line(self) -> str | None:
        """A sentence about it; None while nothing is known."""
        if not self._layers:
            return None
        came = sum(current for current, _ in self._layers.values())
        if came < self.size:
            return f"Pulling the image: {came / _MB:.0f} of {self.size / _MB:.0f} MB\n"
        return f"Pulling the image: {self.size / _MB:.0f} MB came, unpacking\n"
