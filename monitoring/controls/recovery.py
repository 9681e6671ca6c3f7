"""Checks of backups: the log is archived, a backup is fresh, and one was restored and proven."""

from django.conf import settings
from django.db import connection

from monitoring import recovery
from monitoring.controls.results import Result, absent, check, fails, holds, unknown
from monitoring.store.recovery import newest

#: seconds since which the last file of the write-ahead log must have been archived
ARCHIVED_WITHIN = 3_600.0


@check("backup")
def backup() -> Result:
    """PostgreSQL archives its write-ahead log, which recovery to a moment needs, and its last backup is fresh."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('archive_mode'),"
            " extract(epoch FROM clock_timestamp() - last_archived_time)::float8,"
            " coalesce(last_failed_time > last_archived_time, last_failed_time IS NOT NULL) FROM pg_stat_archiver"
        )
        mode, age, failing = cursor.fetchone()
    record = newest(ok=True).get("backup")
    if mode == "off" and record is None:
        return absent("PostgreSQL archives nothing. Whether something else copies it is not known here.")
    if mode != "off" and failing:
        return fails("PostgreSQL could not archive its write-ahead log.", seconds_since_last=age)
    if mode != "off" and age is None:
        return unknown("PostgreSQL is to archive its write-ahead log, and has not done so yet.")
    if mode != "off" and age > ARCHIVED_WITHIN:
        return fails(f"PostgreSQL archived nothing for {age / 3600:.1f} hours.", seconds_since_last=age)
    if record is None:
        return unknown("PostgreSQL archives its write-ahead log, and no backup was recorded.", seconds_since_last=age)
    hours = record.age / 3600
    facts = {"seconds_since_last": age, "backup_hours_old": round(hours, 1)}
    if hours > settings.ERIP_BACKUP_MAX_AGE_HOURS:
        return fails(f"The last backup is {hours:.0f} hours old.", **facts)
    if mode == "off":
        return holds(f"The last backup is {hours:.0f} hours old. No log is archived: what came after is lost.", **facts)
    return holds(f"The last backup is {hours:.0f} hours old, and the log was archived {age:.0f} s ago.", **facts)


@check("restore-drill")
def drill() -> Result:
    """Somebody has restored a backup, and what came of it was proven."""
    record = newest().get("drill")
    if record is None:
        return unknown("No drill was recorded: `manage.py drill` restores a backup and looks at what came of it.")
    days = record.age / 86_400
    facts = {"days_ago": round(days, 1)}
    match recovery.is_ours(record):
        case None:
            return unknown("The last drill was recorded with a key that this process does not have.", **facts)
        case False:
            return fails("The record of the last drill is not the one that was signed.", **facts)
    told = recovery.facts_of(record)
    facts |= {name: told[name] for name in ("second", "rto_seconds", "rpo_seconds") if name in told}
    if not record.ok:
        wrong = [one for one in told.get("proofs", []) if one.get("ok") is not True]
        why = wrong[0].get("says", "") if wrong else told.get("error", "")
        return fails(f"The last drill failed: {why}"[:500], **facts)
    if days > settings.ERIP_DRILL_MAX_AGE_DAYS:
        return fails(f"A backup was last restored {days:.0f} days ago.", **facts)
    return holds(
        f"A backup was restored and proven {days:.0f} days ago, in {told.get('rto_seconds', 0):.0f} s.", **facts
    )
