"""Opens a member's `/build/…` event stream over HTTP. Knows nothing of what the events mean."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

import aiohttp
from yarl import URL

from federation.adapters.transport import in_words
from federation.core.errors import BadAnswer, BrokenOff, MemberFault, Refused, Silent
from federation.core.model import Launch, Member
from federation.core.phases import decode
from federation.core.rules import LaunchRules
from federation.core.sse import EventParser
from federation.service.ports import Frame, Visitor

EVENT_STREAM = "text/event-stream"


class HttpMemberStreams:
    """`MemberStreams` over one HTTP session."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        rules: Callable[[], LaunchRules],
        token_for: Callable[[Launch, Visitor], str],
    ) -> None:
        """`token_for` makes the build token that a launch of this visitor is sent with; empty for none."""
        self._session = session
        self._rules = rules
        self._token_for = token_for

    async def open(
        self, member: Member, launch: Launch, visitor: Visitor, after: str = ""
    ) -> AsyncGenerator[Frame, None]:
        rules = self._rules()
        answer: aiohttp.ClientResponse | None = None
        try:
            answer = await self._session.get(
                launch_url(member, launch, self._token_for(launch, visitor)),
                headers=_headers(visitor) | ({"Last-Event-ID": after} if after else {}),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    connect=rules.connect_timeout,
                    sock_connect=rules.connect_timeout,
                    sock_read=rules.stuck_after,
                ),
            )
            _refuse_other_answers(answer)
            parser = EventParser()
            async for chunk in answer.content.iter_any():
                for sent in parser.feed(chunk):
                    yield Frame(sent.data, decode(sent.data), sent.id)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise _fault(error, answer, rules) from error
        finally:
            if answer is not None:
                answer.close()  # at once: to release it would wait for the rest of the stream


def launch_url(member: Member, launch: Launch, token: str = "") -> URL:
    """The launch on this member, its path and query exactly as the visitor sent them, and its token."""
    query = "&".join(filter(None, (launch.query, token and f"build_token={token}")))
    return URL(f"{member.url}{launch.path}{query and f'?{query}'}", encoded=True)


def _headers(visitor: Visitor) -> dict[str, str]:
    """Rewritten, never copied: a visitor cannot speak for somebody else. The origin is the front door's own
    when the visitor's browser tells none, so that build tokens of its pages hold."""
    return {
        "Accept": EVENT_STREAM,
        "Cache-Control": "no-cache",
        "Origin": visitor.origin or f"{visitor.scheme}://{visitor.host}",
        "X-Forwarded-For": visitor.ip,
        "X-Real-IP": visitor.ip,
        "X-Forwarded-Proto": visitor.scheme,
        "X-Forwarded-Host": visitor.host,
    }


def _refuse_other_answers(answer: aiohttp.ClientResponse) -> None:
    if answer.status != 200:
        raise BadAnswer(f"answered {answer.status}")
    if answer.content_type != EVENT_STREAM:
        raise BadAnswer("answered with something that is no event stream")
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise BadAnswer("compressed its event stream though it was asked not to")


def _fault(error: Exception, answer: aiohttp.ClientResponse | None, rules: LaunchRules) -> MemberFault:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Refused(f"did not accept a connection within {rules.connect_timeout:g} s")
    if isinstance(error, TimeoutError):
        return Silent(f"was silent for {rules.stuck_after:g} s")
    if isinstance(error, aiohttp.ClientConnectorError):
        return Refused(in_words(error))
    if answer is None:
        return BadAnswer(in_words(error))
    return BrokenOff("ended the stream early")
