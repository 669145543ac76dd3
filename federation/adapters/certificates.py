"""When the members' certificates end, as their own TLS connections tell. Judges nothing."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import aiohttp


class CertifiedResponse(aiohttp.ClientResponse):
    """An answer that knows until when the certificate holds that it came with. It is looked at before the answer is
    read: whoever has a short one may have lost its connection already."""

    certificate_ends: float | None = None

    async def start(self, connection: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        if connection.transport is not None:
            self.certificate_ends = _end(connection.transport.get_extra_info("peercert"))
        return await super().start(connection)


class Certificates:
    """What was last seen of each member. One that is not let in any more, since its certificate has ended,
    keeps what it had."""

    def __init__(self) -> None:
        self._ends: dict[str, float] = {}

    def saw(self, member: str, answer: aiohttp.ClientResponse) -> None:
        """An answer of this member came; without TLS it has no certificate any more."""
        ends = answer.certificate_ends if isinstance(answer, CertifiedResponse) else None
        if ends is None:
            self._ends.pop(member, None)
        else:
            self._ends[member] = ends

    def ends(self) -> Mapping[str, float]:
        """In seconds since the epoch, by member."""
        return self._ends


def _end(certificate: Mapping[str, object] | None) -> float | None:
    text = certificate.get("notAfter") if certificate else None
    return float(ssl.cert_time_to_seconds(text)) if isinstance(text, str) else None
