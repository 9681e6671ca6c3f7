"""Commits that PostgreSQL may lose if it crashes, because nobody waits for them.

Whoever makes one notices the crash: the session breaks, and with it goes what was concluded from the lost commit. But
behind a pooler that gives each transaction another connection (`ERIP_DB_PREPARE=false`) nobody would notice: there
every commit is waited for.
"""

from django.conf import settings


def losable(yes: bool = True) -> str:
    """What begins a transaction that may be lost, if `yes`; nothing where it would not be noticed."""
    return "SET LOCAL synchronous_commit = off;\n" if yes and settings.ERIP_DB_PREPARE else ""
