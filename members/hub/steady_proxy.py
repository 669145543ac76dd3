"""JupyterHub's proxy driver with one watchdog at a time; knows nothing of sessions.

JupyterHub starts a further watchdog with every restart of the proxy and never stops the earlier ones; the end
of a hub stops only the newest, and the others may then revive the proxy.
"""

from __future__ import annotations

from jupyterhub.proxy import ConfigurableHTTPProxy


class SteadyProxy(ConfigurableHTTPProxy):
    """ConfigurableHTTPProxy that survives any number of restarts."""

    async def start(self) -> None:
        """Starts the proxy. The earlier watchdog goes only when that worked: else it has to try again."""
        earlier = self._check_running_callback
        await super().start()  # type: ignore[no-untyped-call]
        if earlier is not None:
            earlier.stop()
