"""Sensitive data of runs: the keys that seal it, who opened it, and how a person's data is erased."""
