"""The machine's clock. Knows nothing else."""

from __future__ import annotations

import time


class SystemClock:
    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()
