"""The launch pipeline and single-flight builds, behind ports; knows no wire library."""
