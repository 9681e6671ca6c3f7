"""What is measured, and how: `manage.py run_benchmarks`, and `python -m benchmarks.peers` for other tools."""
