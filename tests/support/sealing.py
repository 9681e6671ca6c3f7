"""The audit log sealed to its end, whatever else the server does."""

from django.db import connection

from erip.audit import sealer
from tests.workers import until


def seal() -> None:
    """Seal all that was written, and sign for it.

    A transaction that is under way holds sealing up, also one in another database of the server: the tests of another
    worker run there. So a number of turns at the sealer's duty proves nothing, and this waits for the fact.
    """
    until(lambda: not sealer.seal.do() and not _late(), seconds=200.0, what="the audit log is sealed")


def _late() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM audit_lines WHERE line LIKE '{\"unsealed\"%')")
        found: bool = cursor.fetchone()[0]
    return found
