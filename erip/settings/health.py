"""Settings of probes and draining. `ERIP_DRAIN_SECONDS` and `ERIP_WEB_GRACE_SECONDS` are read by `erip/gunicorn.py`."""

from .declared import Declarations

_env = Declarations("Probes")

# For how long a web process stays in rotation while the database is away: above the longest failover that was
# measured (3.5 s: the primary frozen), so that a failover empties nobody's pool of servers.
ERIP_READY_GRACE_SECONDS = _env.number(
    "ERIP_READY_GRACE_SECONDS",
    6.0,
    "Seconds for which a web process stays in rotation while the database is away ([probes](../how-to/health.md#settings)).",
    least=0,
    most=300,
)
