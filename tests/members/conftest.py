"""Puts the fakes of the member's tests on the path, and takes property tests' time limit away: machines are busy."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
