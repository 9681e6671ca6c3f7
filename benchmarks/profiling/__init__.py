"""Where a worker's time goes under load: `python -m benchmarks.profiling`."""
