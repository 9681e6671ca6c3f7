"""The worker: claims steps, runs their bodies, and records their outcomes."""
