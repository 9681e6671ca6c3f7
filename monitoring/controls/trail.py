"""Checks of the audit log: the last checkpoint is fresh and signed, the newest entries are those that were sealed, and
copies leave the platform's reach."""

import hashlib
import json

from django.conf import settings
from django.db import connection

from erip.audit import changes, checkpoints
from erip.audit.chain import leaf_of
from monitoring.controls.results import Result, absent, check, fails, holds, unknown


@check("audit-checkpoint")
def checkpoint() -> Result:
    """The newest checkpoint is fresh, signed by our key, follows from the one before, and says what the chain says."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT number, size, body, signature FROM audit_checkpoint ORDER BY number DESC LIMIT 2")
        rows = cursor.fetchall()
        if not rows:
            return unknown("No checkpoint was signed yet.")
        number, size, body, signature = rows[0]
        # From the newest block backwards: a long log is not read to its beginning.
        cursor.execute("SELECT size, head FROM audit_block WHERE size <= %s ORDER BY number DESC LIMIT 1", [size])
        block = cursor.fetchone()
        cursor.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
        now = cursor.fetchone()[0]
    said = json.loads(body)
    age = (now - said["at"]) / 1e6
    facts = {"number": number, "size": size, "seconds_old": round(age, 1), "key": said["key"]}
    if said["key"] != checkpoints.key_id():
        return unknown("The newest checkpoint was signed with a key that this process does not have.", **facts)
    try:
        signed = checkpoints.is_signed(body.encode(), signature)
    except ValueError:
        signed = False
    if not signed:
        return fails(f"The signature of checkpoint {number} is wrong.", **facts)
    if len(rows) > 1 and said["previous"] != hashlib.sha256(rows[1][2].encode()).hexdigest():
        return fails(f"Checkpoint {number} does not follow from the one before it.", **facts)
    if size and (block is None or (block[0], bytes(block[1]).hex()) != (size, said["head"])):
        return fails(f"The chain is not the one that checkpoint {number} says.", **facts)
    if age > 5 * settings.ERIP_AUDIT_CHECKPOINT_SECONDS:
        return fails(f"The newest checkpoint is {age:.0f} s old: nobody signs.", **facts)
    return holds(f"Checkpoint {number} over {size} entries is signed, and {age:.0f} s old.", **facts)


@check("audit-entries")
def entries() -> Result:
    """The entries of the newest blocks are, byte for byte, those that were sealed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT entries, leaves FROM audit_block ORDER BY number DESC LIMIT 5")
        blocks = cursor.fetchall()
        ids = [each for numbers, _ in blocks for each in numbers]
        cursor.execute("SELECT id, audit_canonical(e) FROM audit_entry e WHERE id = ANY (%s)", [ids])
        found = dict(cursor.fetchall())
    if not ids:
        return unknown("Nothing was sealed yet.")
    wrong = [
        number
        for numbers, leaves in blocks
        for place, number in enumerate(numbers)
        if number not in found or leaf_of(found[number].encode()) != bytes(leaves)[place * 32 : place * 32 + 32]
    ]
    if wrong:
        return fails(f"Entry {wrong[0]} of the audit log is not the one that was sealed.", entries=wrong[:20])
    return holds(f"The newest {len(ids)} entries of the audit log are those that were sealed.", entries=len(ids))


@check("audit-recorded")
def recorded() -> Result:
    """Each table that is to be recorded has the trigger that does it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
            " WHERE t.tgname = %s AND t.tgenabled IN ('O', 'A') AND c.relnamespace = current_schema()::regnamespace",
            [changes.TRIGGER],
        )
        there = {name for (name,) in cursor.fetchall()}
    missing = sorted({table.name for table in changes.tables()} - there)
    if missing:
        return fails(f"Changes of {missing[0]} are not recorded: run `manage.py migrate`.", tables=missing[:20])
    return holds(f"Changes of {len(there)} tables are recorded with what was before and after.", tables=len(there))


@check("audit-copies")
def copies() -> Result:
    """Checkpoints are sent where the database's administrators do not reach them, and have a key of their own."""
    to = [
        name
        for name in ("ERIP_AUDIT_FILE", "ERIP_AUDIT_SYSLOG", "ERIP_AUDIT_WEBHOOK", "ERIP_AUDIT_S3")
        if getattr(settings, name, "")
    ]
    if not to:
        return absent("Checkpoints are sent nowhere: who owns the database can rewrite the log with its checkpoints.")
    if not settings.ERIP_AUDIT_KEY:
        return absent("Checkpoints are sent out, and signed with a key that follows from ERIP_SECRET_KEY.", to=to)
    return holds(f"Checkpoints have a key of their own, and are sent out by {', '.join(to)}.", to=to)
