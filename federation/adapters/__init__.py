"""Talks to the world: member probes and streams, metrics, log."""
