"""ERIP as it is deployed, on the servers of the benchmark, with the app of W4's steps."""

# ruff: noqa: F403, F405

from erip.settings.base import *

SECRET_KEY = "benchmarks-only"  # noqa: S105  # nosec B105 (signs nothing: no web process runs)
INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.peers.erip"]
