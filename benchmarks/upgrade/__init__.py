"""A rehearsal of an upgrade: what the scenario `upgrade` is made of."""
