"""Which specs an operator lets run. Knows no provider."""

from __future__ import annotations

import re
from collections.abc import Sequence


def allowed(spec: str, banned_specs: Sequence[str], allowed_specs: Sequence[str]) -> bool:
    """Whether a spec may launch: no ban matches, and one permission does when there are any.

    The patterns are regular expressions, matched at the spec's beginning without regard to case.
    """
    return not matches(spec, banned_specs) and (not allowed_specs or matches(spec, allowed_specs))


def matches(spec: str, patterns: Sequence[str]) -> bool:
    """Whether any pattern is about this spec."""
    return any(re.match(pattern, spec, re.IGNORECASE) for pattern in patterns)
