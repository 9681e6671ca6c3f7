"""The worker: claims steps, runs their bodies, and records what came of them."""
