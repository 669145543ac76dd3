"""The command `binder-member images`: the parts that list and prune, and how their results look."""
