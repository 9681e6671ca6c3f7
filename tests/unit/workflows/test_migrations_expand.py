"""Migrations only expand: the processes of the release before go on with the tables of this one while it is rolled out.
`tests/crash/test_two_releases.py` shows it with real processes; this names the operation that would break it."""

from importlib import import_module
from pkgutil import iter_modules

import pytest
from django.db.migrations import AddConstraint, AddField, AlterField, RemoveField, RenameField, RenameModel
from django.db.migrations.operations.base import Operation

#: the first migration of each app that the release before the waits did not have
SINCE = {
    "workflows.migrations": 6,
    "workflows.events.migrations": 5,
    "schedules.migrations": 1,
    "monitoring.migrations": 1,
}
#: constraints on tables that the release before writes, each with the reason why it cannot break one of its rows
ALLOWED = {"step_state": "it allows one state more than before"}


def operations() -> list[tuple[str, Operation, set[str]]]:
    """(where, the operation, models that migrations of the same app have made since)"""
    found = []
    for package, since in SINCE.items():
        made: set[str] = set()
        for module in sorted(iter_modules(import_module(package).__path__), key=lambda one: one.name):
            if not module.name[:4].isdigit() or int(module.name[:4]) < since:
                continue
            for operation in import_module(f"{package}.{module.name}").Migration.operations:
                if type(operation).__name__ == "CreateModel":
                    made.add(operation.name.lower())
                found.append((f"{package}.{module.name}: {operation.describe()}", operation, set(made)))
    return found


def breaks(operation: Operation, made: set[str]) -> bool:
    model = getattr(operation, "model_name", "").lower()
    if model in made:
        return False
    if isinstance(operation, RemoveField | RenameField | RenameModel):
        return True
    if isinstance(operation, AddField):
        field = operation.field
        # A release that does not know the column writes rows without it.
        return not (field.null or field.has_db_default() or getattr(field, "many_to_many", False))
    if isinstance(operation, AlterField):
        return False
    return isinstance(operation, AddConstraint) and operation.constraint.name not in ALLOWED


@pytest.mark.parametrize("one", operations(), ids=lambda one: one[0])
def test_the_release_before_goes_on_with_these_tables(one: tuple[str, Operation, set[str]]) -> None:
    where, operation, made = one
    assert not breaks(operation, made), where
