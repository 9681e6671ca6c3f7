"""Faults, a fleet of clients and their ledger: what the scenario `uptime` is made of."""
