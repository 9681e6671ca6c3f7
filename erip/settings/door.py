"""Settings of the front door: from whom a web process takes what, and for how long it waits for it."""

import environ

_env = environ.Env()

# Proxies whose X-Forwarded-For is believed: addresses and networks. By default nobody's.
ERIP_TRUSTED_PROXIES: list[str] = _env.list("ERIP_TRUSTED_PROXIES", default=[])
