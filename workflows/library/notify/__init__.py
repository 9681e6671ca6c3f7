"""Messages to people and systems: e-mail and signed webhooks."""
