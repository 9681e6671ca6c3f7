"""A disaster, carried out: a region that writes is lost, and a database is restored from its backup: `python -m
benchmarks.disaster`. All servers are real, and of its own."""
