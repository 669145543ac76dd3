"""repo2docker's configuration for our buildpack: `jupyter-repo2docker --config THIS_FILE`; repo2docker executes it.

BINDER_BASE_IMAGE names the base image that make-base-image and import-base-image made.
"""

import os
import sys
from pathlib import Path

# repo2docker may be started without the path that found the member.
sys.path.append(str(Path(__file__).resolve().parents[2]))

from repo2docker.buildpacks import DockerBuildPack, LegacyBinderDockerBuildPack

from members.buildpacks.content import providers
from members.buildpacks.refusals import REFUSALS
from members.buildpacks.venv import VenvPythonBuildPack

_loader = globals()  # of configuration files: it puts a function here before it executes this one
if "get_config" in _loader:
    config = _loader["get_config"]()
    config.Repo2Docker.base_image = os.environ["BINDER_BASE_IMAGE"]
    config.Repo2Docker.content_providers = providers()
    config.Repo2Docker.buildpacks = [
        LegacyBinderDockerBuildPack,
        DockerBuildPack,
        *REFUSALS,
        VenvPythonBuildPack,
    ]
    config.Repo2Docker.default_buildpack = VenvPythonBuildPack
