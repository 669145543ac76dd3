"""The member's configuration: the only place that reads YAML and the environment."""

from members.settings.load import SettingsError, load, parse
from members.settings.model import Settings

__all__ = ["Settings", "SettingsError", "load", "parse"]
