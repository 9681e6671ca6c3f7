"""Triggers that no session can tell to stand aside.

Note [Firm triggers]
Each function that pgtrigger writes asks its session first whether to stand aside (`pgtrigger.ignore`), and every role
may set that. So whatever such a trigger refuses, the application's role could have done all the same. These are
pgtrigger's triggers without the question: they look at the row and at other rows, and at nothing that a session says of
itself. A test reads the functions of all triggers that there are and finds none that asks.
"""

from typing import Any, Final

import pgtrigger
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState
from pgtrigger import compiler
from pgtrigger.migrations import AddTrigger

_FUNCTION: Final = """
    CREATE OR REPLACE FUNCTION {pgid}() RETURNS TRIGGER AS $$
        {declare}
        BEGIN
            {func}
        END;
    $$ LANGUAGE plpgsql;
"""
_COMMENT: Final = "COMMENT ON TRIGGER {pgid} ON {table} IS '{hash}';"


class FirmSql(compiler.UpsertTriggerSql):
    """What makes a firm trigger. Migrations name it: the text that it gives for the same arguments never changes."""

    def get_template(self) -> str:
        return f"""{_FUNCTION}
    DROP TRIGGER IF EXISTS {{pgid}} ON {{table}};
    CREATE {{constraint}} TRIGGER {{pgid}}
        {{when}} {{operation}} ON {{table}}
        {{timing}}
        {{referencing}}
        FOR EACH {{level}} {{condition}}
        EXECUTE FUNCTION {{execute}};
    {_COMMENT}
"""

    @property
    def in_place(self) -> str:
        """What makes a trigger that is there firm. It takes no lock that a reader or a writer waits for."""
        known = {**self.defaults, **self.kwargs, "hash": self.hash, "table": f'"{self.table}"'}
        return f"{_FUNCTION}{_COMMENT}".format(**known)


class Firm(pgtrigger.Trigger):
    """A trigger of pgtrigger's that no session can tell to stand aside."""

    def compile(self, model: Any) -> compiler.Trigger:
        loose = super().compile(model)
        told = {name: value for name, value in loose.sql.kwargs.items() if name != "ignore_func_name"}
        return compiler.Trigger(name=loose.name, sql=FirmSql(**told))


class Protect(Firm, pgtrigger.Protect):
    """Refuses an operation on the rows of a table."""


class MakeFirm(AddTrigger):
    """Put a firm trigger in the place of the one of the same name that differs in nothing else. Backwards it stays."""

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        options = state.models[app_label, self.model_name].options
        options["triggers"] = [one for one in options.get("triggers", []) if one.name != self.trigger.name]
        super().state_forwards(app_label, state)

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model_trigger(schema_editor, model):
            sql = self.trigger.sql  # type: ignore[union-attr]
            assert isinstance(sql, FirmSql)
            schema_editor.execute(sql.in_place, params=None)

    def database_backwards(self, *_: Any) -> None:
        pass

    def describe(self) -> str:
        return f"Make trigger {self.trigger.name} on model {self.model_name} firm"
