"""What is kept of an operator's token. Knows no operator."""

from __future__ import annotations

from hashlib import sha256


def digest(token: str) -> str:
    """SHA-256 in hexadecimal, which suffices for a token of 256 random bits: nobody can guess one. Any text has a
    digest, also one that came as bytes which are no text."""
    return sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
