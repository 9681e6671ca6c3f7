"""The leader's duty: look at every check, and note what it says."""

import structlog

from erip.foundation.hooks import periodic_duty
from monitoring.conf import conf
from monitoring.controls import access, database, platform, recovery, trail  # noqa: F401  (their checks)
from monitoring.controls.results import Result, Status, checks, look
from monitoring.store import controls as store

log = structlog.get_logger(__name__)

#: seconds between two looks
EVERY = 300.0


@periodic_duty(every=EVERY)
def look_at_controls() -> bool:
    """Note what all checks say."""
    if conf().enabled:
        note()
    return False


def look_at_all() -> dict[str, Result]:
    """What each check says right now, by name."""
    return {name: look(name) for name in checks()}


def note() -> list[str]:
    """Look, and keep what is said. Returns the checks whose status changed. Raises django.db.Error."""
    found = look_at_all()
    changed = store.note_results(found)
    for name in changed:
        if found[name].status is Status.FAILS:
            log.warning("control_fails", check=name, sentence=found[name].sentence)
    return changed
