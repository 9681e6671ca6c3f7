"""The entries of the catalogue of known exploited vulnerabilities, reported as events."""

import time
from collections.abc import Sequence
from typing import Any, Final

import orjson

from workflows.core.cloudevents import Batch, Invalid, read_batch
from workflows.events import ingest, types
from workflows.events.conf import conf
from workflows.events.errors import EventsInvalid, JournalFull, QuotaExceeded
from workflows.library.nexus.kev import Catalogue, Entry

TYPE: Final = "atlas.vulnerability.discovered"
#: this and the entry's CVE identify the event: an entry is reported once, whatever later releases say about it
SOURCE: Final = "/catalogues/known-exploited-vulnerabilities"
#: events in one piece
PIECE: Final = 200
#: seconds that a piece waits in total for room in the journal
PATIENCE: Final = 600.0


def tell_of(catalogue: Catalogue) -> int:
    """Hand each entry to the bus, and return how many were accepted. They are durable when this returns, and no entry
    is reported twice. Raises JournalFull, QuotaExceeded, JournalUnavailable; what was accepted by then stays so."""
    told = 0
    for start in range(0, len(catalogue.entries), PIECE):
        batch = _batch(catalogue.entries[start : start + PIECE])
        _accept(batch)
        told += batch.events
    return told


def event_of(entry: Entry) -> dict[str, Any]:
    """The CloudEvent of an entry."""
    return {
        "specversion": "1.0",
        "id": entry.cve_id,
        "source": SOURCE,
        "type": TYPE,
        "subject": entry.cve_id,
        "time": f"{entry.date_added.isoformat()}T00:00:00Z",
        "datacontenttype": "application/json",
        "data": {
            "cve": entry.cve_id,
            "name": entry.name,
            "description": entry.description,
            "vendor": entry.vendor,
            "product": entry.product,
            "cwes": list(entry.cwes),
            "known_exploited": True,
            "known_ransomware_campaign_use": "Known" if entry.ransomware else "Unknown",
            "date_added": entry.date_added.isoformat(),
            "due_date": entry.due_date.isoformat(),
            "required_action": entry.required_action,
            "notes": entry.notes,
        },
    }


def _batch(entries: Sequence[Entry]) -> Batch:
    body = orjson.dumps([event_of(entry) for entry in entries])
    try:
        return read_batch(body, partitions=conf().partitions, most=len(entries), check=types.checker())
    except Invalid as error:
        raise EventsInvalid(faults=error.faults) from error


def _accept(batch: Batch) -> None:
    """Send a batch as a client would that obeys Retry-After."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return ingest.accept(batch)
        except (JournalFull, QuotaExceeded) as error:
            if time.monotonic() + error.retry_after > deadline:
                raise
            time.sleep(error.retry_after)
