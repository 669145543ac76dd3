"""Binder Federation's front door: one public domain in front of many BinderHubs."""
