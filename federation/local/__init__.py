"""A whole federation on one machine: children, files, ports and progress. Knows no routing and no page."""
