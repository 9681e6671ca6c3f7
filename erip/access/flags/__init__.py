"""Feature flags and kill switches: what an operator turns off, or on for some, without a deployment."""
