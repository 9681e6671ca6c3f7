"""The views of the event bus."""
