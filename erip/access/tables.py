"""What the apps say about their tables, for PostgreSQL's privileges."""

from erip.foundation import hooks
from erip.foundation.db.privileges import Rules


def rules() -> Rules:
    """See `erip.foundation.db.privileges`."""
    return Rules(
        looked_up=frozenset(hooks.looked_up.all()),
        append_only=frozenset(hooks.append_only.all()),
        unchanging=frozenset(hooks.unchanging.all()),
        kept=frozenset(hooks.kept.all()),
        confidential=frozenset(hooks.confidential.all()),
        walled=dict(hooks.walled.all()),
        open_to_all=frozenset(table for table, _why in hooks.open_to_all.all()),
    )
