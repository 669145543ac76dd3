"""The events of a launch, exactly as BinderHub words and orders them. Knows no HTTP.

Fields, texts and the order of keys are wire facts (BINDER-PROTOCOL §2): clients and front doors read them.
"""

from __future__ import annotations

from members.core.model import BuildLine, SessionRequest

Event = dict[str, object]
News = Event | BuildLine  # a line stays the one object that all launches of its build share

_OBJECT_COST = 300  # bytes an event takes in memory besides its text, roughly

WAITING = "Waiting for build to start...\n"
LAUNCHING = "Launching server...\n"


def _line(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def event_of(news: News) -> Event:
    """The event as it is sent."""
    return build_line(news) if isinstance(news, BuildLine) else news


def size(news: News) -> int:
    """What the event takes in memory, in bytes, roughly."""
    message = news.message if isinstance(news, BuildLine) else news.get("message")
    return _OBJECT_COST + (len(message) if isinstance(message, str) else 0)


def is_ready(news: News) -> bool:
    """Whether this is the event by which a visitor learns of a session. A build's line never is."""
    return isinstance(news, dict) and news.get("phase") == "ready"


def waiting(message: str = WAITING) -> Event:
    return {"phase": "waiting", "message": _line(message)}


def build_line(line: BuildLine) -> Event:
    """One line of repo2docker's log, which has its message first and sometimes no phase."""
    event: Event = {"message": _line(line.message)}
    if line.phase is not None:
        event["phase"] = line.phase
    return event


def found(image: str) -> Event:
    """The image was there already."""
    return {"phase": "built", "imageName": image, "message": "Found built image, launching...\n"}


def built(image: str) -> Event:
    """The image was built by this launch, or by one that it joined."""
    return {"phase": "built", "message": "Built image, launching...\n", "imageName": image}


def launching(message: str = LAUNCHING) -> Event:
    return {"phase": "launching", "message": _line(message)}


def retrying(attempt: int) -> Event:
    """Attempt number `attempt` (from 1) failed and another follows."""
    return launching(f"Launch attempt {attempt} failed, retrying...\n")


def ready(url: str, session: SessionRequest) -> Event:
    """The server answers at `url` (with trailing slash)."""
    return {
        "phase": "ready",
        "message": f"server running at {url}\n",
        "image": session.image,
        "repo_url": session.repo_url,
        "token": session.token,
        "binder_ref_url": session.ref_url,
        "binder_launch_host": session.launch_host,
        "binder_request": session.binder_request,
        "binder_persistent_request": session.persistent_request,
        "binder_client_ip": session.client_ip,
        "url": url,
    }


def image_ready(image: str, *, was_there: bool) -> Event:
    """The end of a launch that was to build only."""
    message = "Done! Found built image\n" if was_there else "Done! Image built\n"
    return {"phase": "ready", "imageName": image, "message": message}


def failed(message: str) -> Event:
    """The launch ended for a reason of the repository, the spec or the quota."""
    return {"phase": "failed", "message": _line(message)}


def refused(status_code: int, message: str) -> Event:
    """The launch ended with what elsewhere would be an HTTP error: 4xx the visitor's, 5xx this member's.

    501 is for a repository that only members of another kind can build.
    """
    return {"phase": "failed", "status_code": status_code, "message": _line(message)}


def build_failed(message: str) -> Event:
    """The build failed for a reason of the repository; shaped as repo2docker's own last line."""
    return {"message": _line(message), "phase": "failed"}


def banned(spec: str) -> Event:
    """The operator does not let this spec run here. The one message without a newline, as upstream."""
    message = f"Sorry, {spec} is not allowed to launch. Please contact admins for more info!"
    return {"phase": "failed", "message": message}


def no_provider(prefix: str) -> Event:
    return failed(f"No provider found for prefix {prefix}")


def unresolved(provider: str, spec: str) -> Event:
    """The ref, or the repository, does not exist."""
    return failed(
        f"Could not resolve ref for {provider}:{spec}. Double check your URL and that your repo is public."
    )


def resolve_error(provider: str, spec: str, reason: str) -> Event:
    """The ref could not be looked up."""
    return failed(f"Error resolving ref for {provider}:{spec}: {reason}")
