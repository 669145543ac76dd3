"""What JupyterHub loads: its configuration and our spawner, and the process that runs it."""
