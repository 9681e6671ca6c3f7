"""What others notice of clients that mean ill: `python -m benchmarks.front_door`."""
