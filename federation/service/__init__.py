"""Awaits and orchestrates behind ports; knows no wire library."""
