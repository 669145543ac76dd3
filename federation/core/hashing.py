"""Weighted rendezvous hashing: where a key falls for each member. Knows keys, names and weights only.

Score: weight x 1 / -ln(u), with u in (0, 1) drawn from a hash of key and member (Schindelhauer and Schomaker,
"Weighted distributed hash tables", 2005). Sorting members by it gives every key a full order in which
removing one member leaves the order of the others as it was, and each member is first in its weight's share.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from math import inf, log

LARGEST = 0xFFFFFFFFFFFFFFFF


@lru_cache(maxsize=4096)  # few repositories make most launches
def draw(key: str, name: str) -> float:
    """The share of the hash space below this key on this member, in [0, 1].

    The big-endian 64-bit BLAKE2b of `key-name`, as mybinder.org's federation-redirect takes it.
    """
    digest = blake2b(f"{key}-{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / LARGEST


def score(weight: float, unit: float) -> float:
    """The rank of a member of this weight for a draw of `unit`; the largest comes first.

    Both ends of the draw have their limits: 0 scores nothing and 1 outscores everything.
    """
    if weight <= 0 or unit <= 0:
        return 0.0
    if unit >= 1:
        return inf
    return weight * (1 / -log(unit))
