"""Runs inside a build: is the base image's Python one that the repository can use? Knows no repository.

`check_python.py FILE SPECIFIER ...` in pairs: the file that asks, and what it asks for (PEP 440). Ends with 1 and a
sentence for the visitor when the answer is no.
"""

import platform
import sys

from packaging.specifiers import InvalidSpecifier, SpecifierSet


def complaint(file: str, asked: str, present: str) -> str | None:
    try:
        wanted = SpecifierSet(asked)
    except InvalidSpecifier:
        return (
            f"{file}: {asked!r} was not understood, a range of Python versions such as >=3.10 was expected."
        )
    if wanted.contains(present, prereleases=True):
        return None
    return (
        f"{file} asks for Python {asked}, and this member has Python {present} alone. Ask for that one, or launch "
        "on a member with repo2docker's own buildpacks."
    )


def main(arguments: list[str]) -> int:
    for file, asked in zip(arguments[::2], arguments[1::2], strict=True):
        problem = complaint(file, asked, platform.python_version())
        if problem is not None:
            print(problem, flush=True)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
