"""What `manage.py run_benchmarks` runs: load from the client's side, checked results, and the machine's own ceiling."""
