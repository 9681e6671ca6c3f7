"""The leader: what must be done by one process at a time."""
