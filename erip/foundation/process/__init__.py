"""What every process shares: heartbeat files, draining, probes, priorities, and the way to the broker."""
