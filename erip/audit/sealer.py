"""The leader's duty: chain what was written, and sign how far the log is."""

import time
from dataclasses import replace

import structlog
from django.conf import settings
from prometheus_client import CollectorRegistry, Counter, Gauge

from erip.audit import checkpoints, entries, store
from erip.audit.chain import leaf_of
from erip.foundation.hooks import periodic_duty

log = structlog.get_logger(__name__)

#: seconds between two looks for new entries
EVERY = 1.0
#: entries in one block
PORTION = 5_000

REGISTRY = CollectorRegistry()
SEALED = Counter("erip_audit_entries_sealed", "Entries of the audit log that were chained.", registry=REGISTRY)
FORGED = Counter(
    "erip_audit_entries_forged",
    "Entries of the audit log that no process of the platform wrote: their code is wrong.",
    registry=REGISTRY,
)
CHECKPOINT = Gauge(
    "erip_audit_checkpoint_timestamp_seconds",
    "When this process last signed a checkpoint of the audit log.",
    registry=REGISTRY,
)

_signed_at = 0.0


@periodic_duty(every=EVERY)
def seal() -> bool:
    """Seal a portion. Returns whether there is more."""
    global _signed_at
    before = store.sealed()
    found = store.restored(before)
    if found is not None:
        late, floor = found
        after = replace(before, last_xid=0, last_id=0, floor=floor)
        log.warning("audit_log_was_restored", entries=len(late))
    else:
        late = store.late_entries(before, limit=PORTION)
        if not late:
            return _sign()
        after = replace(before, last_xid=late[-1].xid, last_id=late[-1].id)
    leaves = [leaf_of(each.canonical.encode()) for each in late]
    after = replace(after, number=before.number + 1, log=before.log.with_leaves(leaves))
    if store.add_block(after, late, leaves):
        SEALED.inc(len(late))
        _report_forged(late)
    return len(late) == PORTION or _sign()


def _sign() -> bool:
    """Sign a checkpoint if it is time. There is nothing more to do in this round."""
    global _signed_at
    if time.monotonic() - _signed_at >= settings.ERIP_AUDIT_CHECKPOINT_SECONDS:
        _signed_at = time.monotonic()
        if checkpoints.sign():
            CHECKPOINT.set_to_current_time()
    return False


def _report_forged(late: list[store.Late]) -> None:
    """Entries that came past the platform stay in the log, and the log says so of them."""
    forged = [each.id for each in late if each.kind != "change" and not entries.is_authentic(each.body, each.mac)]
    if forged:
        FORGED.inc(len(forged))
        log.error("audit_entries_forged", entries=forged[:100], count=len(forged))
        entries.write(
            {
                "kind": "finding",
                "action": "audit.forged",
                "principal": "platform",
                "object": f"audit.entry/{forged[0]}",
                "entries": forged[:1_000],
                "count": len(forged),
            }
        )
