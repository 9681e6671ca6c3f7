"""The REST API of schedules."""
