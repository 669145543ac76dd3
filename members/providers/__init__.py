"""Where repositories come from: one file per kind, in the order in which pages offer them.

A further provider is one file here and one row in `KINDS`.
"""

from members.providers import ckan, dataverse, figshare, gist, git, github, gitlab, hydroshare, zenodo
from members.providers.base import Kind

KINDS: tuple[Kind, ...] = (
    Kind("gh", github.GitHubConfig, github.GitHub),
    Kind("gist", gist.GistConfig, gist.Gist),
    Kind("git", git.GitConfig, git.Git),
    Kind("gl", gitlab.GitLabConfig, gitlab.GitLab),
    Kind("zenodo", zenodo.ZenodoConfig, zenodo.Zenodo),
    Kind("figshare", figshare.FigshareConfig, figshare.Figshare),
    Kind("hydroshare", hydroshare.HydroshareConfig, hydroshare.Hydroshare),
    Kind("dataverse", dataverse.DataverseConfig, dataverse.Dataverse),
    Kind("ckan", ckan.CkanConfig, ckan.Ckan),
)
