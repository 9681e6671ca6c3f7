"""The leader: duties that only one process may perform at a time."""
