"""Which specs an operator lets run. Knows no provider."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote


def allowed(spec: str, banned_specs: Sequence[str], allowed_specs: Sequence[str]) -> bool:
    """Whether a spec may launch: no ban matches, and one permission does when there are any.

    The patterns are regular expressions, matched at the spec's beginning without regard to case.
    """
    return not banned(spec, banned_specs) and (not allowed_specs or matches(spec, allowed_specs))


def banned(spec: str, patterns: Sequence[str]) -> bool:
    """Whether a ban is about this spec, as it is written or percent-encoded as links are made."""
    usual = "/".join(quote(unquote(part), safe="") for part in spec.split("/"))
    return matches(spec, patterns) or (usual != spec and matches(usual, patterns))


def banned_by_another_name(spec: str, resolved_spec: str, ref: str, patterns: Sequence[str]) -> bool:
    """Whether a ban is about the repository that a spec resolved to, when it was asked for by another name.

    `resolved_spec` ends in `ref`, a version. Under the same name, the spec itself has been judged.
    """
    return not spec.startswith(resolved_spec.removesuffix(ref)) and banned(resolved_spec, patterns)


def matches(spec: str, patterns: Sequence[str]) -> bool:
    """Whether any pattern is about this spec."""
    return any(re.match(pattern, spec, re.IGNORECASE) for pattern in patterns)
