"""Puts the fakes of the member's tests on the path."""
