"""The table of providers: what it shows to the world, and that one more is one file and one row."""

import json
import subprocess
import sys
from pathlib import Path

from contract_files import body
from sites import tools

import members.settings
from members.providers import KINDS
from members.settings import parse

ALL = "\n".join(["providers:", *(f"  {kind.id}: {{enabled: true}}" for kind in KINDS)])


async def test_all_nine_are_shown_as_recorded() -> None:
    enabled = parse(ALL, Path("/etc/member.yaml"), {}).enabled_providers()
    async with tools() as made:
        shown = [kind.make(config, made).display() for kind, config in enabled]
    assert json.dumps(shown) == body("api_repoproviders").strip()


async def test_ids_and_names_are_those_of_metrics() -> None:
    async with tools() as made:
        providers = [kind.make(kind.config(), made) for kind in KINDS]
    assert [provider.id for provider in providers] == [kind.id for kind in KINDS]
    assert {provider.id: provider.name for provider in providers} == {
        "gh": "GitHub",
        "gist": "Gist",
        "git": "Git",
        "gl": "GitLab",
        "zenodo": "Zenodo",
        "figshare": "Figshare",
        "hydroshare": "Hydroshare",
        "dataverse": "Dataverse",
        "ckan": "CKAN",
    }


def test_only_what_the_process_runtime_can_fetch_is_on_by_default() -> None:
    enabled = parse("", Path("/etc/member.yaml"), {}).enabled_providers()
    assert [kind.id for kind, _ in enabled] == ["gh", "git"]


def test_settings_name_no_provider() -> None:
    for file in Path(members.settings.__file__).parent.glob("*.py"):
        text = file.read_text()
        assert not [kind.id for kind in KINDS if f'"{kind.id}"' in text or f"providers.{kind.id}" in text]


TENTH = """
from pathlib import Path

import members.providers
from members.providers.base import Kind, ProviderConfig


class TenthConfig(ProviderConfig):
    color: str = "red"


class Tenth:
    def __init__(self, config, tools):
        self.color = config.color


members.providers.KINDS += (Kind("tenth", TenthConfig, Tenth),)

from members.settings import SettingsError, parse

settings = parse("providers: {tenth: {enabled: true, color: blue}}", Path("/x.yaml"), {})
kind, config = settings.enabled_providers()[-1]
print(kind.id, kind.make(config, None).color)
try:
    parse("providers: {tenth: {colour: blue}}", Path("/x.yaml"), {})
except SettingsError as error:
    print(error)
"""


def test_a_tenth_provider_is_one_class_and_one_row() -> None:
    ran = subprocess.run([sys.executable, "-c", TENTH], capture_output=True, text=True, timeout=60)
    assert ran.stderr == ""
    first, second = ran.stdout.splitlines()
    assert first == "tenth blue"
    assert second.startswith("/x.yaml:1: providers.tenth.colour: unknown key; expected color perhaps")
