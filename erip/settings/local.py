"""For one machine: what the local stack started is found through its `env` file.

The only settings with development defaults. Bound to loopback by the stack.
"""

import os
from pathlib import Path

import environ

_state = Path(os.environ.get("ERIP_STATE_DIR") or Path(__file__).resolve().parent.parent.parent / ".erip")
# A process that the stack started already has what it needs: reading the file would give it everything else as well.
if "ERIP_STACK_ID" not in os.environ and os.access(_state / "env", os.R_OK):
    _told = {name for name, value in os.environ.items() if value}
    environ.Env.read_env(str(_state / "env"))
    # The file's login for further workers is one of the stack's broker: with another one they would wait there in vain.
    if _told & {"ERIP_BROKER_URL", "ERIP_WORKER_BROKER_URL_FILE"} and "ERIP_WORKER_BROKER_URL" not in _told:
        os.environ.pop("ERIP_WORKER_BROKER_URL", None)

from .base import *  # noqa: E402

SECRET_KEY = SECRET_KEY or "local-only-not-for-production"
ALLOWED_HOSTS = ALLOWED_HOSTS or ["127.0.0.1", "localhost", "[::1]"]
# With HA=1 users come by TLS alone, and their cookies go back by TLS alone. Otherwise all is in the clear, on loopback.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = ERIP_PUBLIC_URL.startswith("https://")
# Trivial steps for the engine's benchmark, and the command that runs it.
INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks"]
