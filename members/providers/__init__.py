"""Where repositories come from: one file per kind, in the order in which pages offer them.

A further provider is one file here and one row in `KINDS`.
"""

from members.providers import git, github
from members.providers.base import Kind

KINDS: tuple[Kind, ...] = (
    Kind("gh", github.GitHubConfig, github.GitHub),
    Kind("git", git.GitConfig, git.Git),
)
