"""The node guard: Patroni's parent process, which makes a dead node let go of the leadership at once."""
