"""The same four-step workflow on other people's tools: `python -m benchmarks.peers`. Start with README.md."""
