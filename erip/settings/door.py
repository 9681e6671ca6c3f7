"""Settings of the front door: from whom a web process takes what, and for how long it waits for it."""

import environ

_env = environ.Env()

# Proxies whose X-Forwarded-For is believed: addresses and networks. By default nobody's.
ERIP_TRUSTED_PROXIES: list[str] = _env.list("ERIP_TRUSTED_PROXIES", default=[])

# The bodies of requests, in one process: bytes of all of them at once (of one caller half as many), the seconds for
# which nothing of one has to come, the bytes a second after that, and the seconds that one may take in all.
ERIP_BODY_MEMORY = _env.int("ERIP_BODY_MEMORY", 48 * 1024 * 1024)
ERIP_BODY_GRACE_SECONDS = _env.float("ERIP_BODY_GRACE_SECONDS", 10.0)
ERIP_BODY_MIN_RATE = _env.float("ERIP_BODY_MIN_RATE", 4096.0)
ERIP_BODY_SECONDS = _env.float("ERIP_BODY_SECONDS", 120.0)
# Forms of the admin that come in at once from people who are not signed in; of one address a fifth of them.
ERIP_ANONYMOUS_FORMS = _env.int("ERIP_ANONYMOUS_FORMS", 100)

# The connections of one process, and those of one address among them; the seconds for the head of the first request,
# and those after which a client that takes no answer is cut off.
ERIP_CONNECTIONS = _env.int("ERIP_CONNECTIONS", 4000)
ERIP_CONNECTIONS_PER_ADDRESS = _env.int("ERIP_CONNECTIONS_PER_ADDRESS", 1000)
ERIP_HEAD_SECONDS = _env.float("ERIP_HEAD_SECONDS", 10.0)
ERIP_STALL_SECONDS = _env.float("ERIP_STALL_SECONDS", 20.0)
