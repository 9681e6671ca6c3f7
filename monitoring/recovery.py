"""What was backed up, and what came of trying it.

Note [Recovery records]
PostgreSQL does not know whether somebody copies it, and a copy says nothing until it was restored. So `manage.py
backup` and `manage.py drill` leave a record of what they did and saw. The checks `backup` and `restore-drill`, the
metrics and the alerts go by these records. A drill's is signed with the key of the audit log's checkpoints, which no
role of the database has: whoever can only write rows cannot say that a drill was passed. A backup's is not, as it is
made on PostgreSQL's host, which must not have that key; so is that of a backup by other means (`manage.py backup
record`), on the word of whoever calls it. What a backup is worth, the drill says.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from erip.audit import checkpoints
from monitoring.store import recovery as store
from monitoring.store.recovery import Record

#: what a signature is over begins with this, so that it is good for nothing else
_PURPOSE = b"erip recovery record\n"


def note_backup(*, ok: bool, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Keep a record that is not signed. facts: JSON, without secrets. Returns what was kept."""
    told = {"v": 1, "kind": "backup", "at": datetime.now(UTC).isoformat(), "ok": ok, **facts}
    store.add("backup", ok, _text(told), "")
    return told


def note(kind: str, *, ok: bool, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Sign and keep a record. facts: JSON, without secrets. Returns what was signed."""
    told = {"v": 1, "kind": kind, "at": datetime.now(UTC).isoformat(), "ok": ok, "key": checkpoints.key_id(), **facts}
    body = _text(told)
    store.add(kind, ok, body, checkpoints.signature_over(_PURPOSE + body.encode()))
    return told


def _text(told: Mapping[str, Any]) -> str:
    return json.dumps(told, separators=(",", ":"), default=str)


def is_ours(record: Record) -> bool | None:
    """Whether it was signed with this installation's key, and says what its row says; None: with another key than this
    process has, so that nobody here can tell."""
    try:
        told = json.loads(record.body)
        if told["key"] != checkpoints.key_id():
            return None
        if not checkpoints.is_signed(_PURPOSE + record.body.encode(), record.signature):
            return False
    except (ValueError, KeyError, TypeError):
        return False
    # The row's own columns are not signed: what they say must be what was.
    return bool((told["kind"], told["ok"]) == (record.kind, record.ok) and _near(told["at"], record.at))


def facts_of(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(record.body)
    return found


def _near(text: str, at: datetime) -> bool:
    """Whether two clocks mean the same moment: a row's time could otherwise be moved, and an old drill be a new one."""
    return abs((datetime.fromisoformat(text) - at).total_seconds()) < 600
