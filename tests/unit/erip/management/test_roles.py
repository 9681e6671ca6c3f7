"""What the apps say about their tables."""

import pgtrigger
from django.apps import apps

from erip.access import tables
from erip.foundation.db.privileges import APPEND, KEEP, READ
from erip.management import roles


def test_a_table_that_a_trigger_protects_is_protected_by_privileges_too() -> None:
    """Two locks on one door: the trigger names what is wrong, the privilege holds whatever becomes of the trigger."""
    protected = [
        model._meta.db_table
        for model in apps.get_models()
        for trigger in getattr(model._meta, "triggers", ())
        if isinstance(trigger, pgtrigger.Protect)
    ]
    assert len(protected) >= 4
    assert [table for table in protected if tables.rules().of(table) not in (APPEND, KEEP, READ)] == []


def test_each_table_that_is_named_exists() -> None:
    assert roles.unknown_tables() == []
