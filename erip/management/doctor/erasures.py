"""Erasures: whether they are written apart from the database, and whether this database is one from before some."""

from collections.abc import Iterator

from workflows.privacy import journal
from workflows.privacy.models import Erasure

from .findings import Finding, problem, unknown, warning, well


def they_are_in_force() -> Iterator[Finding]:
    """Says nothing where nobody was erased and no journal is kept."""
    file = journal.path()
    if file is None:
        if Erasure.objects.filter(certificate__has_key="person").exists():
            yield warning(
                "erasures",
                "persons were erased, and ERIP_ERASURE_JOURNAL is not set here: a restored backup brings them back",
                "set it for leaders, and for whoever erases: see docs/how-to/sensitive-data.md",
            )
        return
    if not file.exists():
        yield unknown("erasures", "the journal is not on this host, or nothing was ever written to it")
        return
    found = journal.reapply(file, by="doctor", reason="doctor", dry_run=True)
    missing = len(found.erased) + found.held + found.lifted
    if found.wrong:
        yield problem(
            "erasures",
            f"{len(found.wrong)} lines of the journal are not the platform's, or not complete: the first is line"
            f" {found.wrong[0]}",
            "find out who writes to the file; erasures that it lost are in the certificates",
        )
    if missing:
        yield problem(
            "erasures",
            f"this database is one from before {len(found.erased)} erasures and {found.held + found.lifted} changes of"
            " legal holds: somebody who was erased can be read",
            "run manage.py privacy reapply, before anybody reads in it",
        )
    elif not found.wrong:
        yield well("erasures", f"all {found.before} that the journal has are in force here")
