"""Migrations that are not safe beside the release before are named, by kind, and nothing else is."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.postgres.operations import AddIndexConcurrently, ValidateConstraint
from django.core.management import CommandError, call_command
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState
from pgtrigger.migrations import AddTrigger

from erip.foundation.db import phases
from erip.foundation.db.backfills import Backfill, Finished
from erip.management import migration_lint
from erip.management.migration_lint import Old, refused, unsafe

INDEX = models.Index(fields=["name"], name="by_name")
CHECK = models.CheckConstraint(condition=models.Q(name__gt=""), name="named")
NEW = migrations.CreateModel("Fresh", [("id", models.BigAutoField(primary_key=True)), ("name", models.TextField())])


class Own(Operation):
    """Somebody's own, of which nothing is known."""


def found(*operations: Operation) -> list[str]:
    """What is said about a migration of these operations, beside a model Old with a name of 10 characters."""
    before = ProjectState()
    fields = [("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(max_length=10, null=True))]
    before.add_model(ModelState("acme", "Old", fields))
    migration = migrations.Migration("0002", "acme")
    migration.operations = list(operations)
    return [one.what for one in unsafe(migration, before)]


def altered(**field: Any) -> migrations.AlterField:
    return migrations.AlterField("Old", "name", models.CharField(**{"max_length": 10, "null": True, **field}))


def sql(text: str) -> migrations.RunSQL:
    return migrations.RunSQL(text)


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        (migrations.AddIndex("Old", INDEX), "an index is built while nobody can write to old"),
        (migrations.AddConstraint("Old", CHECK), "all rows of old are checked under a lock"),
        (migrations.RemoveField("Old", "name"), "old.name is dropped"),
        (migrations.RenameField("Old", "name", "title"), "old.name is renamed under the old release"),
        (migrations.RenameModel("Old", "Older"), "Old is renamed under the old release"),
        (migrations.DeleteModel("Old"), "Old is dropped"),
        (migrations.AlterModelTable("Old", "other"), "Old gets another table"),
        (migrations.AddField("Old", "size", models.IntegerField(default=0)), "the old release writes rows without it"),
        (migrations.AddField("Old", "key", models.TextField(null=True, unique=True)), "an index of old.key is built"),
        (altered(max_length=5), "old.name is altered"),
        (altered(null=False), "old.name is altered"),
        (migrations.AlterField("Old", "name", models.TextField(null=True)), "old.name is altered"),
        (migrations.RunPython(lambda apps, editor: None), "a function runs"),
        (sql("CREATE INDEX by_name ON old (name)"), "an index is built while nobody can write to old"),
        (sql("create unique index if not exists a on only old (name)"), "an index is built"),
        (sql("ALTER TABLE old ALTER COLUMN name TYPE text"), "which rewrites it"),
        (sql("ALTER TABLE old RENAME COLUMN name TO title"), "is renamed under the old release"),
        (sql("ALTER TABLE old DROP COLUMN name"), "a column of old is dropped"),
        (sql("DROP TABLE IF EXISTS old"), "old is dropped"),
        (sql("ALTER TABLE old ALTER name SET NOT NULL"), "all rows of old are read under a lock"),
        (sql("ALTER TABLE old ADD CONSTRAINT a CHECK (name > '')"), "all rows of old are checked under a lock"),
        (sql("SELECT 1; -- harmless\nLOCK TABLE old"), "old is locked"),
        (sql("VACUUM FULL old"), "old is rewritten"),
        (sql("DO $$ BEGIN UPDATE old SET name = ''; END $$"), "a DO block runs"),
        *(
            (sql(text), "cannot be judged here")
            for text in (
                "DROP FUNCTION f()",
                "REVOKE UPDATE ON old FROM erip",
                "UPDATE old SET name = ''",
                "SELECT work(1)",
                "CREATE TRIGGER t AFTER UPDATE ON old FOR EACH ROW EXECUTE FUNCTION f()",
                "ALTER TABLE old ALTER name DROP DEFAULT",
                "CREATE UNIQUE INDEX CONCURRENTLY a ON old (name)",
                "ALTER TABLE old ADD COLUMN a int DEFAULT 1, ALTER name DROP DEFAULT",
                "ALTER TABLE old ADD COLUMN a uuid DEFAULT gen_random_uuid()",
                "ALTER TABLE old ADD a int NOT NULL",
                "ALTER TABLE old ENABLE ROW LEVEL SECURITY",
                "FROBNICATE old",
                "SET a = 1; TRUNCATE old",
                "CREATE OR REPLACE FUNCTION f() RETURNS int AS $$ SELECT 1; $$ LANGUAGE sql",
            )
        ),
        (AddTrigger("Old", None), "AddTrigger of old: cannot be judged here"),
        (Own(), "Own: cannot be judged here"),
        (migrations.AlterOrderWithRespectTo("Old", "name"), "cannot be judged here"),
        (
            migrations.SeparateDatabaseAndState(database_operations=[migrations.DeleteModel("Old")]),
            "Old is dropped",
        ),
    ],
)
def test_what_is_unsafe_is_named(operation: Operation, said: str) -> None:
    what = found(operation)
    assert len(what) == 1, what
    assert said in what[0]


@pytest.mark.parametrize(
    "operation",
    [
        AddIndexConcurrently("Old", INDEX),
        migrations.AddField("Old", "size", models.IntegerField(null=True)),
        migrations.AddField("Old", "size", models.IntegerField(db_default=0)),
        migrations.RemoveIndex("Old", "by_name"),
        altered(max_length=20),
        altered(help_text="its name"),
        sql("CREATE INDEX CONCURRENTLY by_name ON old (name)"),
        sql("ALTER TABLE old ADD CONSTRAINT a CHECK (name > '') NOT VALID"),
        sql("ALTER TABLE old VALIDATE CONSTRAINT a"),
        sql("/* DROP TABLE old */ SELECT 1"),
        sql("CREATE FUNCTION f() RETURNS void AS $body$ BEGIN DROP TABLE old; END $body$ LANGUAGE plpgsql"),
        sql("CREATE TABLE fresh (name text); CREATE INDEX by_name ON fresh (name)"),
        migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel("Old")]),
        migrations.RunPython(migrations.RunPython.noop),
        migrations.AlterModelOptions("Old", {"ordering": ["name"]}),
        Backfill("acme.name", table="old", set="name = 'a'", where="name IS NULL"),
        Finished("acme.name"),
        ValidateConstraint("Old", "named"),
        sql("ALTER TABLE old ADD COLUMN a numeric(8, 2) DEFAULT 0 NOT NULL; ALTER TABLE old ADD b int[] NULL"),
        sql("ALTER TABLE old SET (fillfactor = 70); COMMENT ON TABLE old IS 'a, b'; GRANT SELECT ON old TO erip"),
        sql("CREATE TABLE fresh (a int); INSERT INTO fresh VALUES (1); ALTER TABLE fresh ENABLE ROW LEVEL SECURITY"),
    ],
)
def test_what_is_safe_is_not_named(operation: Operation) -> None:
    assert found(operation) == []


def test_a_table_of_the_same_migration_may_have_everything_done_to_it() -> None:
    later = [migrations.AddIndex("Fresh", INDEX), migrations.AddConstraint("Fresh", CHECK)]
    assert found(NEW, *later, sql("CREATE INDEX b ON acme_fresh (name)")) == []
    assert len(found(*later)) == 2


def test_no_migration_since_the_last_release_is_unsafe() -> None:
    """Note [Unsafe migrations]. Before the first release there is nothing that a migration could hurt."""
    leaves = migration_lint.released()
    assert not leaves or not migration_lint.since(leaves), "manage.py lint_migrations says what to do instead"


def test_a_migration_that_takes_something_away_has_to_say_so() -> None:
    before = ProjectState()
    before.add_model(ModelState("acme", "Old", [("id", models.BigAutoField(primary_key=True))]))
    migration = migrations.Migration("0002", "acme")
    migration.operations = [migrations.DeleteModel("Old"), migrations.RunPython(lambda apps, editor: None)]
    assert [one.old for one in refused(migration, before)] == [Old.BREAKS, Old.UNKNOWN]
    assert 'contracts = "why"' in str(refused(migration, before)[0])
    migration.contracts = "releases before 0.3 read Old"  # type: ignore[attr-defined]
    assert [one.old for one in refused(migration, before)] == [Old.UNKNOWN]


def test_every_migration_of_ours_that_takes_something_away_says_so() -> None:
    assert [str(one) for one in migration_lint.since([]) if one.old is Old.BREAKS] == []


def test_what_only_adds_does_not_stand_behind_what_contracts_in_the_same_release(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def made(name: str, after: str, contracts: str = "") -> Any:
        body = {"dependencies": [("workflows", after)], "operations": [], "contracts": contracts}
        return type("Migration", (migrations.Migration,), {**body, "__module__": "workflows.migrations.x"})(
            name, "workflows"
        )

    leaves = MigrationLoader(None).graph.leaf_nodes()
    last = next(name for app, name in leaves if app == "workflows")
    load = MigrationLoader.load_disk

    def with_more(loader: MigrationLoader) -> None:
        load(loader)
        assert loader.disk_migrations is not None
        for one in (made("x1", last, "releases before 9 read it"), made("x2", "x1"), made("x3", "x2", "so they do")):
            loader.disk_migrations["workflows", one.name] = one

    monkeypatch.setattr(MigrationLoader, "load_disk", with_more)
    (found,) = migration_lint.since(leaves)
    assert str(found).startswith("workflows.x2: it needs workflows.x1, which waits until no process of the release")
    # In the next release nobody of the one before is left that would wait for it.
    assert migration_lint.since([("workflows", "x1"), *leaves]) == []


def test_a_process_knows_the_migrations_that_contract_in_its_files(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "marked" / "migrations"
    package.mkdir(parents=True)
    text = "from django.db import migrations\nclass Migration(migrations.Migration):\n    {}\n"
    for name, body in (
        ("__init__", "x = 1"),
        ("0001_first", "operations = []  # nothing here takes anything away"),
        ("0002_drop", 'contracts = "releases before 0.3 read it"'),
        ("0003_empty", 'contracts = ""'),
        ("0004_broken", "fails at once if it is imported"),
    ):
        (package / f"{name}.py").write_text(text.format(body))
    (package.parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    phases.known.cache_clear()
    before = phases.known()
    settings.MIGRATION_MODULES = {**settings.MIGRATION_MODULES, "sample": "marked.migrations"}
    try:
        # The files are those of another release, and the code that runs is not.
        assert phases.known() == before
        phases.known.cache_clear()
        assert phases.known() == tuple(sorted([*before, "sample.0002_drop"]))
    finally:
        phases.known.cache_clear()


def test_children_of_a_web_service_know_what_its_master_knew(monkeypatch: pytest.MonkeyPatch) -> None:
    from erip import gunicorn

    monkeypatch.setattr(gunicorn, "settle", lambda: None)
    phases.known.cache_clear()
    gunicorn.when_ready(None)
    assert phases.known.cache_info().currsize == 1


def test_every_migration_can_be_read_and_those_of_a_release_are_passed_over() -> None:
    assert migration_lint.since([]), "some of the first release would lock tables, had there been any"
    assert migration_lint.since(MigrationLoader(None).graph.leaf_nodes()) == []
    with pytest.raises(CommandError, match="of them"):
        call_command("lint_migrations", "--all")
