"""Quotas of sources: which quotas exist, and whether a request is within them.

The quotas are read once a second by each process that accepts events; the remaining amounts are in PostgreSQL, so the
quotas hold for all processes together. A source without a quota costs nothing.
"""

import math
import threading
import time
from collections import Counter
from collections.abc import Mapping

from django.db import transaction

from erip.access.references import canonical
from workflows.events.errors import QuotaExceeded
from workflows.events.models import SourceQuota
from workflows.events.store import quotas as store
from workflows.events.store.quotas import Demand

#: seconds for which a process trusts what it read
CACHE_SECONDS = 1.0


class Quotas:
    """What this process knows of the quotas. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._exact: dict[str, SourceQuota] = {}
        #: quotas whose source ends with `*`, the most specific first
        self._prefixes: list[tuple[str, SourceQuota]] = []
        self._until = 0.0

    def forget(self) -> None:
        """Read the quotas again at the next use."""
        self._until = 0.0

    def take(self, sources: Mapping[str, int]) -> None:
        """Count these events of each source, or none of them. Raises QuotaExceeded."""
        self._read_if_old()
        if not self._exact and not self._prefixes:
            return
        counted: Counter[str] = Counter()
        for source, events in sources.items():
            # A source in another spelling uses the same quota.
            counted[canonical(source)] += events
        demands = [demand for source, events in counted.items() if (demand := self._demand(source, events)) is not None]
        if not demands:
            return
        with transaction.atomic():
            refused = store.take(demands)
            if refused is not None:
                transaction.set_rollback(True)
        if refused is not None:
            quota = self._quota(refused.source)
            raise QuotaExceeded(refused.source, _named(quota, daily=refused.daily), _seconds(refused.retry_after))

    def _demand(self, source: str, events: int) -> Demand | None:
        quota = self._quota(source)
        return None if quota is None else Demand(source, events, quota.rate, quota.burst, quota.daily)

    def _quota(self, source: str) -> SourceQuota | None:
        exact = self._exact.get(source)
        if exact is not None:
            return exact
        return next((quota for prefix, quota in self._prefixes if source.startswith(prefix)), None)

    def _read_if_old(self) -> None:
        with self._lock:
            if time.monotonic() < self._until:
                return
            rows = list(SourceQuota.objects.all())
            self._exact = {canonical(row.source): row for row in rows if not row.source.endswith("*")}
            prefixes = [(canonical(row.source[:-1]), row) for row in rows if row.source.endswith("*")]
            self._prefixes = sorted(prefixes, key=lambda pair: -len(pair[0]))
            self._until = time.monotonic() + CACHE_SECONDS


def _named(quota: SourceQuota | None, *, daily: bool) -> str:
    if quota is None:
        return "changed meanwhile"
    return f"{quota.daily} events a day" if daily else f"{quota.rate:g} events a second"


def _seconds(seconds: float) -> int:
    return max(1, math.ceil(seconds))
