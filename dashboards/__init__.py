"""Grafana's dashboards of a federation, written as Python and kept as JSON in `grafana/`.

Nothing of it is needed at run time. `python -m dashboards` writes the JSON anew.
"""
