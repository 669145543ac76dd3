"""Faults, named by who is to blame and what follows. Knows no transport; adapters chain their own cause."""

from __future__ import annotations


class FederationError(Exception):
    """Anything that this package raises on purpose. Its text is fit for a visitor."""


class LaunchError(FederationError):
    """The visitor's: a request that no member could serve. `status_code` as BinderHub gives it, None for its
    plain failures."""

    def __init__(self, message: str, status_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code


class RoomFull(LaunchError):
    """Nobody has a seat for it, and it cannot wait for one either: too many do, in all or from its address."""


class WaitedTooLong(LaunchError):
    """No seat came free for it in the time that a launch may wait."""


class MemberFault(FederationError):
    """A member's: it let a launch down, another member may finish it.

    `cause` is one word for metrics; `unreachable` tells that not even a connection was made, which counts
    against the member's health like a failed probe.
    """

    cause = "fault"
    unreachable = False


class Refused(MemberFault):
    """No connection: refused, unknown host, bad certificate, or not accepted in time."""

    cause = "refused"
    unreachable = True


class BadAnswer(MemberFault):
    """Answered, but with an HTTP error or something that is no event stream."""

    cause = "bad_answer"


class Silent(MemberFault):
    """Not one byte for too long."""

    cause = "silent"


class Garbled(MemberFault):
    """The stream holds what is no event."""

    cause = "garbled"


class BrokenOff(MemberFault):
    """The stream ended before the launch did."""

    cause = "broken_off"


class TooSlow(MemberFault):
    """The launch took longer than one member may take."""

    cause = "too_slow"
