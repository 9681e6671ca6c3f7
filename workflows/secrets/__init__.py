"""Secrets for steps: names that definitions use, and the providers that have the values."""
