"""PULSE's addresses under /api/v1."""
