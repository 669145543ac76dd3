"""The member's nouns. Knows no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Isolation(StrEnum):
    """How a session or build is fenced off from the machine."""

    BUBBLEWRAP = "bubblewrap"  # own mount, pid and user view; good for semi-trusted repositories
    NONE = "none"  # a plain process of the member's own user


@dataclass(frozen=True, slots=True)
class Resolved:
    """A spec whose ref is pinned to something immutable.

    `resolved_spec` is the spec with the pinned ref, `build_slug` what image names are made of
    (BinderHub's `get_build_slug`), `ref_url` a page a person can open for exactly this version. Unless `is_git`,
    `repo_url` is what one of repo2docker's content providers for archives of data takes.
    """

    provider: str
    spec: str
    repo_url: str
    ref: str
    ref_url: str
    resolved_spec: str
    build_slug: str
    is_git: bool = True


@dataclass(frozen=True, slots=True)
class Visit:
    """Where a launch was asked for, as the launch event log tells it; nothing of it names a person.

    `origin` is the site that served it, `request_origin` the one whose page asked (or the browser's word for
    how the two are related), `build_token` whether it began on a page of the federation.
    """

    build_token: bool = False
    origin: str = ""
    request_origin: str = ""


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """One visitor's wish, as it came in. `spec` is raw, still percent-encoded, without trailing slash."""

    provider: str
    spec: str
    client_ip: str
    launch_host: str  # public base URL that launch links start with, with trailing slash
    build_only: bool = False
    visit: Visit = Visit()
    user: str | None = None  # who logged in, where that is asked for


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What a hub needs to start one session; becomes JupyterHub's `user_options`, plus the environment."""

    image: str
    token: str
    repo_url: str
    ref_url: str
    launch_host: str
    binder_request: str
    persistent_request: str
    client_ip: str
    user: str | None = None  # whose server it becomes; None for a temporary user


@dataclass(frozen=True, slots=True)
class BuildLine:
    """One line of a build's story. `phase` is repo2docker's: `fetching`, `building`, `pushing` or None."""

    message: str
    phase: str | None = "building"


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One line of `/health`."""

    service: str
    ok: bool
    detail: tuple[tuple[str, object], ...] = ()
    ignore_failure: bool = False


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who pushes to and pulls from a registry. `registry` is its key in Docker's config.json.

    The user name `<token>` says, as Docker's credential helpers do, that `password` is an identity token.
    """

    username: str
    password: str = field(repr=False)
    registry: str


class RegistryState(StrEnum):
    """How the common registry stands, for logs and for people; docs/registry.md says what to do about each."""

    READY = "ready"  # it answers, gives images and takes them
    READ_ONLY = "read-only"  # it gives images and takes none for now, as while its garbage is collected
    DENIED = "denied"  # it refuses the credentials, or wants some and there are none
    LIMITED = "limited"  # 429: it was asked too often
    FAILING = "failing"  # 5xx, or answers that cannot be understood
    NOT_A_REGISTRY = "not a registry"  # something answers there, and it does not speak the registry's API
    UNREACHABLE = "unreachable"  # no connection, or no answer in time


class RegistryDown(Exception):
    """The registry gave no clear answer; the message says what it did, `state` what kind of trouble it is."""

    def __init__(self, message: str, state: RegistryState) -> None:
        super().__init__(message)
        self.state = state


class RegistryRefuses(Exception):
    """The registry does not do such a thing at all; the message says what, and what an operator can do."""


class BuildFailed(Exception):
    """The repository's own fault: the message is for the visitor (what failed, which file, what to do)."""


class BeyondMember(BuildFailed):
    """Such a repository cannot be built by this member, as it is set up; one of another kind may do it."""


class BuildBroken(Exception):
    """The member's fault (disk full, tool missing, store not writable): another member may succeed."""


class LaunchFailed(Exception):
    """The hub could not start the session; the message is for the visitor."""


class AlreadyRunning(Exception):
    """Who logged in has all the servers that they may have; the message is for them."""


class LoginFailed(Exception):
    """JupyterHub could not say who the visitor is; the message is for them."""


class ResolveError(Exception):
    """The ref could not be looked up at all (host down, rate limit): unlike an unknown ref, which is None."""


class SpecError(Exception):
    """The spec itself is malformed; the message names it and what was expected."""
