"""Which specs an operator lets run. Knows no provider."""

from __future__ import annotations

import re
from collections.abc import Sequence


def allowed(spec: str, banned_specs: Sequence[str], allowed_specs: Sequence[str]) -> bool:
    """Whether a spec may launch: no ban matches, and one permission does when there are any.

    The patterns are regular expressions, matched at the spec's beginning without regard to case.
    """
    if any(re.match(pattern, spec, re.IGNORECASE) for pattern in banned_specs):
        return False
    return not allowed_specs or any(re.match(pattern, spec, re.IGNORECASE) for pattern in allowed_specs)
