"""Containment: measures that are ordered one after another, and taken back in the opposite order."""
