"""What PULSE costs: at work, at rest, on disk, and per viewer."""
