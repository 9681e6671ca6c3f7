"""Whether the server can serve. Its address is not part of the API, and needs no key."""

from erip_client.models import Health

from .base import Call


def ready() -> Call[Health]:
    """What the probe of load balancers says: `ready`, `degraded`, or `unavailable` and `draining` (503)."""
    return Call(operation="", method="GET", template="/health/ready", answers={200: Health, 503: Health})
