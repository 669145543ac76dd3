"""The Dockerfile of an image on our base image: text from facts. Knows no repository and no repo2docker."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Script = tuple[str, str]  # the user who runs it, and a line of shell


@dataclass(frozen=True, slots=True)
class Image:
    """What goes into an image. Paths of files are relative to the repository unless said otherwise.

    `tools` leads from names in the build context to absolute paths in the image. `check` has pairs of a file and
    the Python versions it asks for. `early` runs when only `early_files` are there, so that it is repeated only
    when one of them changes; `late` runs when the whole repository is. `start` is an absolute path or None.
    """

    base: str
    user_id: int
    prefix: str
    tools: Mapping[str, str]
    check: tuple[str, ...]
    early_files: tuple[str, ...]
    early: tuple[Script, ...]
    late: tuple[Script, ...]
    labels: Mapping[str, str]
    post_build: str | None
    start: str | None
    appendix: str


def dockerfile(image: Image) -> str:
    """Steps that all repositories share come first, and the rest from what changes least to what changes most."""
    return "\n".join((*_shared(image), *_built(image), *_finished(image), image.appendix, ""))


# The variables are those of repo2docker's own images: repositories' scripts use them.
_ENVIRONMENT = """\
ARG NB_USER
ARG NB_UID
ENV DEBIAN_FRONTEND=noninteractive \\
    LC_ALL=en_US.UTF-8 LANG=en_US.UTF-8 LANGUAGE=en_US.UTF-8 \\
    SHELL=/bin/bash USER=${NB_USER} HOME=/home/${NB_USER}
ARG REPO_DIR=${HOME}
ENV REPO_DIR=${REPO_DIR} APP_BASE=/srv \\
    NB_PYTHON_PREFIX=%(prefix)s KERNEL_PYTHON_PREFIX=%(prefix)s
ENV PATH=${HOME}/.local/bin:${REPO_DIR}/.local/bin:%(prefix)s/bin:${PATH}"""

# The base image has the usual user; another one takes over the environment, which copies all of it.
_USER = """\
RUN if [ "$(id -u "${NB_USER}" 2>/dev/null)" != "${NB_UID}" ]; then \\
        for user in "$(getent passwd "${NB_UID}" | cut -d: -f1)" "${NB_USER}"; do \\
            ! id "${user}" >/dev/null 2>&1 || userdel "${user}"; \\
        done && \\
        useradd --create-home --no-log-init --shell /bin/bash --uid "${NB_UID}" "${NB_USER}" && \\
        chown -R "${NB_USER}:${NB_USER}" %(prefix)s "${HOME}"; \\
    fi && \\
    install -d -o "${NB_USER}" -g "${NB_USER}" "${REPO_DIR}\""""


def _shared(image: Image) -> Iterator[str]:
    yield f"FROM {image.base}"
    yield "USER root"
    yield _ENVIRONMENT % {"prefix": image.prefix}
    yield _USER % {"prefix": image.prefix}
    yield "WORKDIR ${REPO_DIR}"
    yield "EXPOSE 8888"
    yield "COPY --chmod=0755 python3-login repo2docker-entrypoint /usr/local/bin/"
    for name, place in sorted(image.tools.items()):
        yield f"COPY {name} {place}"


def _built(image: Image) -> Iterator[str]:
    owner = f"--chown={image.user_id}:{image.user_id}"
    if image.check:
        checker = next(place for place in image.tools.values() if place.endswith("check_python.py"))
        # As a list, or the shell would read what a repository wrote.
        yield "RUN " + json.dumps([f"{image.prefix}/bin/python", checker, *image.check])
    for path in image.early_files:
        yield f"COPY {owner} src/{path} ${{REPO_DIR}}/{path}"
    yield from _scripts(image.early)
    yield "USER root"
    yield f"COPY {owner} src/ ${{REPO_DIR}}/"
    yield from _scripts(image.late)


def _finished(image: Image) -> Iterator[str]:
    for name, value in sorted(image.labels.items()):
        yield f"LABEL {name}={json.dumps(value).replace('$', chr(92) + '$')}"
    yield "USER ${NB_USER}"
    if image.post_build is not None:
        yield f'RUN chmod +x "{image.post_build}" && "./{image.post_build}"'
    if image.start is not None:
        yield f'RUN chmod +x "{image.start}"'
        yield f'ENV R2D_ENTRYPOINT="{image.start}"'
    yield "ENV PYTHONUNBUFFERED=1"
    yield 'ENTRYPOINT ["/usr/local/bin/repo2docker-entrypoint"]'
    yield 'CMD ["jupyter", "notebook", "--ip", "0.0.0.0"]'


def _scripts(scripts: tuple[Script, ...]) -> Iterator[str]:
    """Runs of one user share a USER line."""
    last = "root"
    for user, script in scripts:
        if user != last:
            yield f"USER {user}"
            last = user
        yield "RUN " + script.strip()
