"""Hosts in settings are in ASCII, or commands do not start: nothing is looked up under another name than was meant.

Workers and the web do not ask: Note [Checks without the web] in `erip.foundation.process.checking`.
"""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from erip.foundation.outbound.hosts import host_fault


def _hosts() -> Iterator[tuple[str, str]]:
    yield "ERIP_PUBLIC_URL", settings.ERIP_PUBLIC_URL
    yield from (("ERIP_BROKER_URL", url.strip()) for url in settings.ERIP_BROKER_URL.split(";"))
    yield from (("ERIP_ALLOWED_HOSTS", host) for host in settings.ALLOWED_HOSTS)
    yield from (
        (f"the database {alias!r}", host)
        for alias, database in settings.DATABASES.items()
        for host in str(database.get("HOST") or "").split(",")
    )
    yield "ERIP_EMAIL_URL", getattr(settings, "EMAIL_HOST", "") or ""
    yield "ERIP_DEFAULT_FROM_EMAIL", settings.DEFAULT_FROM_EMAIL.rpartition("@")[2]


@register()
def ascii_hosts(**_: Any) -> list[CheckMessage]:
    """hosts.E001: hosts in settings are written in ASCII."""
    faults = [fault for name, host in _hosts() if (fault := host_fault(name, host))]
    if not faults:
        return []
    return [
        Error(
            f"{'; '.join(faults)}.",
            hint="Names outside of ASCII are read in different ways by different libraries.",
            id="hosts.E001",
        )
    ]
