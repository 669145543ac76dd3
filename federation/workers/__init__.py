"""Several processes that serve one front door: a captain that knows the members, and workers that serve visitors."""
