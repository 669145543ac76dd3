"""The member's pure rules: names, phases, quotas, what a repository needs."""
