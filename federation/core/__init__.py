"""Everything that decides. Pure: no I/O, no clock, no randomness; both are arguments."""
