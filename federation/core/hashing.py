"""Weighted rendezvous hashing: where a key falls for each member. Knows keys, names and weights only.

Score: weight x 1 / -ln(u), with u in (0, 1) drawn from a hash of key and member (Schindelhauer and Schomaker,
"Weighted distributed hash tables", 2005). Sorting members by it gives every key a full order in which
removing one member leaves the order of the others as it was, and each member is first in its weight's share.
"""

from __future__ import annotations

import struct
from array import array
from functools import lru_cache
from hashlib import blake2b, shake_128
from math import inf, log

LARGEST = 0xFFFFFFFFFFFFFFFF

# A table of many members knows keys by their slot alone. A member with the share p of the weights is first in p x SLOTS
# of them, give or take the root of that: of 30 members each is within 6 % of its share, of 300 within 19 %, while
# the few repositories that make most launches move it by far more. Twice as many slots cost twice the
# memory, 32 KiB for each member and at most 700 bytes of order for each slot.
SLOTS = 8192


@lru_cache(maxsize=16384)  # few repositories make most launches
def draw(key: str, name: str) -> float:
    """The share of the hash space below this key on this member, in [0, 1].

    The big-endian 64-bit BLAKE2b of `key-name`, as mybinder.org's federation-redirect takes it.
    """
    digest = blake2b(f"{key}-{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / LARGEST


@lru_cache(maxsize=16384)
def slot_of(key: str) -> int:
    """The slot of this key, the same in every process."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") % SLOTS


@lru_cache(maxsize=512)
def strengths(name: str) -> array[float]:
    """The score of a member of weight 1 in each slot.

    The draws are 32 bits each of one SHAKE128 over the name, taken at the middle of their interval: neither 0 nor 1.
    """
    drawn = struct.unpack(f"<{SLOTS}I", shake_128(name.encode()).digest(4 * SLOTS))
    return array("f", [1 / -log((number + 0.5) / 2**32) for number in drawn])


def score(weight: float, unit: float) -> float:
    """The rank of a member of this weight for a draw of `unit`; the largest comes first.

    Both ends of the draw have their limits: 0 scores nothing and 1 outscores everything.
    """
    if weight <= 0 or unit <= 0:
        return 0.0
    if unit >= 1:
        return inf
    return weight * (1 / -log(unit))
