"""The event bus' part of the REST API."""
