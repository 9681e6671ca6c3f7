"""What `GET /metrics` shows: the whole cluster as the last frame has it, or, without one, this process alone.

Note [One scrape]
A scrape costs one statement that reads two rows, however many processes and series there are, and any web process
answers the same. While nothing newer than STALE_AFTER is known (PostgreSQL is away, or no leader writes frames), the
series of the cluster are left out, because a value that nobody knows is not the one it was last; Prometheus then
marks them as stale. In their place come the counters of the process that answers, under labels that no series of the
cluster has, so that nothing is added up with them, and `erip_pulse_stale` is 1.
"""

import os
import socket
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db import Error
from prometheus_client import Metric

from erip.foundation import hooks
from erip.foundation.db.failures import is_passing
from erip.foundation.db.retry import within
from monitoring import store
from monitoring.core.catalog import MEANINGS
from monitoring.core.exposition import About, described, families
from monitoring.core.frames import TICK
from monitoring.core.series import Series, samples, series

#: seconds after the end of a tick
STALE_AFTER = 3.0 * TICK
#: seconds that the question may take while PostgreSQL is away
ASK_WITHIN = 1.0

STALE = "erip_pulse_stale"
AGE = "erip_pulse_frame_age_seconds"

_lock = threading.Lock()
_places: dict[int, tuple[Series, bool]] = {}


def metrics() -> Iterable[Metric]:
    """The families to show. Raises django.db.Error, unless PostgreSQL is merely away."""
    try:
        with within(ASK_WITHIN):
            latest = store.read_latest(TICK)
            stale = latest is None or latest.age > STALE_AFTER
            found = {} if latest is None or stale else _cluster(latest)
    except Error as error:
        if not is_passing(error):
            raise
        latest, stale, found = None, True, {}
    if stale:
        found.update(_own())
    found[series(STALE)] = float(stale)
    if latest is not None:
        found[series(AGE)] = max(0.0, latest.age)
    return families(found, _known())


def newest() -> tuple[datetime, Iterable[Metric]] | None:
    """The families of the cluster alone, and when the tick ended that they are of; None while nothing is known.

    Raises django.db.Error."""
    latest = store.read_latest(TICK)
    if latest is None or latest.age > STALE_AFTER:
        return None
    return latest.at, families(_cluster(latest), _known())


def _cluster(latest: store.Latest) -> dict[Series, float]:
    places = _read_places(max(len(latest.values), len(latest.totals)))
    found: dict[Series, float] = {}
    for place, (one, rate) in places.items():
        values = latest.totals if rate else latest.values
        value = values[place - 1] if place <= len(values) else None
        if value is not None:
            found[one] = value
    return found


def _read_places(most: int) -> Mapping[int, tuple[Series, bool]]:
    """The series by their places, which never change: read again when there are more."""
    global _places
    if len(_places) < most:
        with _lock:
            _places = {known.id: (known.series, known.rate) for known in store.read_series()}
    return _places


def forget() -> None:
    """For tests, in which places do change."""
    global _places
    _places = {}


def _own() -> dict[Series, float]:
    process = f"{socket.gethostname()[:200]}:{os.getpid()}"
    return {one.series.labelled(process=process): one.value for one in samples(hooks.metrics.all())}


def _known() -> dict[str, About]:
    return described(hooks.metrics.all(), MEANINGS)
