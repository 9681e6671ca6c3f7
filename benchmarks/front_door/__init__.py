"""What other clients notice of hostile ones: `python -m benchmarks.front_door`."""
