"""What the protection of sensitive data adds to the platform."""

from typing import Any

from erip.foundation.hooks import (
    Recorded,
    append_only,
    as_owner,
    audit_holds,
    confidential,
    kept,
    recorded,
    unrecorded,
)
from workflows.conf import conf
from workflows.privacy import journal, retention, sealing  # noqa: F401  (the leader's duties; what workers ask)
from workflows.privacy.holds import spans_of_audit
from workflows.store import forgetting

audit_holds(spans_of_audit)

append_only("privacy_erasure")
kept("privacy_datakey")
kept("privacy_hold")
confidential("privacy_datakey")
# A key is made with the first run of its subject; that it was destroyed is what counts.
recorded(Recorded("privacy_datakey", hashed=("subject",), verbs=("UPDATE", "DELETE")))
unrecorded(("privacy_eventkey", "is written with an event into the log, to which thousands a second are added"))
unrecorded(("privacy_runkey", "is written with the start of a run, which has an entry of its own"))


@as_owner
def keep_runs(cursor: Any) -> None:
    forgetting.promise(cursor, conf().retention_least_days)
