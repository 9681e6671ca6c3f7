"""Settings of the front door: from whom a web process takes what, and for how long it waits for it."""

from .declared import Declarations
from .values import network

_env = Declarations("Front door")

# Proxies whose X-Forwarded-For is believed: addresses and networks. By default nobody's.
ERIP_TRUSTED_PROXIES: list[str] = _env.items(
    "ERIP_TRUSTED_PROXIES",
    [],
    "Addresses and networks of proxies whose `X-Forwarded-For` is believed ([the client's address](../how-to/high-availability.md#the-clients-address)).",
    form=network,
)

# The bodies of requests, in one process: bytes of all of them at once (of one caller half as many), the seconds for
# which nothing of one has to come, the bytes a second after that, and the seconds that one may take in all.
ERIP_BODY_MEMORY = _env.whole(
    "ERIP_BODY_MEMORY",
    48 * 1024 * 1024,
    "Bytes of all request bodies of one process at once; of one caller, half of that ([the front door](../how-to/high-availability.md#the-front-door)).",
    unit="bytes",
    above=0,
)
ERIP_BODY_GRACE_SECONDS = _env.number(
    "ERIP_BODY_GRACE_SECONDS", 10.0, "Seconds for which nothing of a body needs to arrive.", above=0, most=3600
)
ERIP_BODY_MIN_RATE = _env.number(
    "ERIP_BODY_MIN_RATE", 4096.0, "Bytes per second of a body that must arrive after that.", unit="bytes/s", above=0
)
ERIP_BODY_SECONDS = _env.number(
    "ERIP_BODY_SECONDS", 120.0, "Seconds that a body may take in all.", above=0, most=86_400
)
# Forms of the admin that come in at once from people who are not signed in; of one address a fifth of them.
ERIP_ANONYMOUS_FORMS = _env.whole(
    "ERIP_ANONYMOUS_FORMS",
    100,
    "Admin forms that people who are not signed in may send at once; of one address, a fifth of that.",
    unit="forms",
    above=0,
)

# The connections of one process, and those of one address among them; the seconds for the head of the first request,
# and those after which a client that takes no answer is cut off.
ERIP_CONNECTIONS = _env.whole("ERIP_CONNECTIONS", 4000, "Connections of one web process.", unit="connections", above=0)
ERIP_CONNECTIONS_PER_ADDRESS = _env.whole(
    "ERIP_CONNECTIONS_PER_ADDRESS", 1000, "Connections of one client address among them.", unit="connections", above=0
)
ERIP_HEAD_SECONDS = _env.number(
    "ERIP_HEAD_SECONDS", 10.0, "Seconds for the head of a connection's first request.", above=0, most=3600
)
ERIP_STALL_SECONDS = _env.number(
    "ERIP_STALL_SECONDS", 20.0, "Seconds after which a client that takes no answer is cut off.", above=0, most=3600
)
# Those that have not taken their answer yet.
ERIP_STALLED = _env.whole(
    "ERIP_STALLED",
    200,
    "Clients that have not taken their answer yet; of more than that, the oldest are cut off at once.",
    unit="clients",
    above=0,
)
