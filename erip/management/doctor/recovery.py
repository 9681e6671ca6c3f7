"""Backups: whether one was made lately, whether one was ever restored, and whether its keys are kept elsewhere."""

from collections.abc import Iterator

from django.conf import settings

from erip.foundation import keyring
from monitoring import recovery
from monitoring.store.recovery import newest

from .findings import Finding, problem, unknown, warning, well

_DAY = 86_400.0


def a_backup_is_fresh() -> Iterator[Finding]:
    """Says nothing where nobody makes backups with us: PostgreSQL's own archiving is looked at elsewhere."""
    record = newest(ok=True).get("backup")
    if record is None:
        if settings.ERIP_BACKUP_CONFIG:
            yield problem("backups", "none was made yet", "run manage.py backup now on the primary's host")
        return
    hours = record.age / 3600
    says = f"the last was made {hours:.1f} h ago by {recovery.facts_of(record).get('by', 'somebody')}"
    if hours > settings.ERIP_BACKUP_MAX_AGE_HOURS:
        yield problem("backups", says, "see docs/how-to/runbooks/backup-old.md")
    else:
        yield well("backups", says)
    yield from _was_restored()
    yield from _keys_are_kept()


def _was_restored() -> Iterator[Finding]:
    record = newest().get("drill")
    do = "run manage.py drill: a backup that nobody has restored is a hope"
    if record is None:
        yield warning("drill", "no backup was ever restored", do)
    elif recovery.is_ours(record) is None:
        yield unknown("drill", "the last was recorded with a key that this process does not have")
    elif not recovery.is_ours(record):
        yield problem("drill", "the record of the last is not the one that was signed", do)
    elif not record.ok:
        yield problem("drill", "the last failed", "see docs/how-to/backups.md; then run it again")
    elif record.age > settings.ERIP_DRILL_MAX_AGE_DAYS * _DAY:
        yield warning("drill", f"the last was {record.age / _DAY:.0f} days ago", do)
    else:
        yield well("drill", f"a backup was restored and proven {record.age / _DAY:.0f} days ago")


def _keys_are_kept() -> Iterator[Finding]:
    kept = set(settings.ERIP_BACKUP_KEYS_KEPT)
    for name, mark in keyring.fingerprints().items():
        about = "secret key" if name == "secret-key" else f"key {name}"
        if mark in kept:
            yield well(about, "a copy is kept elsewhere")
        else:
            yield warning(
                about,
                "nobody says that a copy is kept elsewhere: without it, what a backup holds encrypted is lost",
                f"keep a copy apart from the backups, and add {mark} to ERIP_BACKUP_KEYS_KEPT",
            )
