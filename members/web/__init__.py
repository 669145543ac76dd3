"""BinderHub's HTTP surface on aiohttp."""
