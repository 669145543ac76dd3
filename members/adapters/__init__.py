"""Talks to the world: uv builds, the OCI image layout, JupyterHub, metrics."""
