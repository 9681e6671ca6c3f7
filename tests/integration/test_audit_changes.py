"""What was before and after is in the entry of the operation that changed it, whichever door it came through."""

from io import StringIO

import orjson
import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations import AlterField, Migration, RemoveField, SeparateDatabaseAndState
from django.db.models import CharField
from django.test import Client

from erip.access.models import ApiKey, Role, Space
from erip.access.scopes import Scope
from erip.audit import changes, reading
from erip.audit.operation import Operation, doing
from erip.foundation import hooks
from tests.support.api import Api, key, publish
from workflows.models import WorkflowDefinition

pytestmark = pytest.mark.django_db(transaction=True)


def by_somebody() -> Operation:
    return Operation("command", "command:test", lambda: "os:test")


def newest() -> dict:
    with connection.cursor() as cursor:
        cursor.execute("SELECT body, changes FROM audit_entry ORDER BY id DESC LIMIT 1")
        return reading.told(*cursor.fetchone())


def test_every_table_is_recorded_or_named_with_a_reason():
    left = dict(hooks.unrecorded.all())
    recorded = {table.name for table in changes.tables()}
    known = {model._meta.db_table for model in apps.get_models(include_auto_created=True)} | {"django_migrations"}

    assert left.keys() - known == set(), "named, and no table"
    assert {one.table for one in hooks.recorded.all()} - recorded == set(), "named in both ways, or no table"
    assert all(left.values())
    with connection.cursor() as cursor:
        cursor.execute(changes._INSTALLED, [changes.TRIGGER])
        assert {name for name, _ in cursor.fetchall()} == recorded
    assert changes.install() == 0, "the second time there is nothing left to do"


def test_a_recorded_column_can_get_another_type_or_go_and_the_trigger_stays():
    def trigger() -> list:
        cursor.execute(changes._INSTALLED, [changes.TRIGGER])
        return [mark != "" for name, mark in cursor.fetchall() if name == table]

    alter = AlterField("User", "last_name", CharField(max_length=200))
    for app, table, column, operation in (
        ("access", "access_space", "description", AlterField("Space", "description", CharField(max_length=200))),
        ("auth", "auth_user", "last_name", SeparateDatabaseAndState([RemoveField("User", "last_name"), alter])),
    ):
        with transaction.atomic(), connection.cursor() as cursor:
            migration = Migration("0099", app)
            migration.operations = [operation]
            assert changes.altered(migration) == [table]
            # One that leaves columns out names the others.
            assert changes.loosen([table]) == (table == "auth_user")
            cursor.execute(f"ALTER TABLE {table} ALTER {column} TYPE char(500)")
            cursor.execute(f"ALTER TABLE {table} DROP COLUMN {column} CASCADE")
            assert trigger() == [table != "auth_user"]
            assert changes.install() == (table == "auth_user")
            assert trigger() == [True]
            transaction.set_rollback(True)
    assert changes.install() == 0


def test_columns_that_an_app_names_exist():
    models = {model._meta.db_table: model for model in apps.get_models(include_auto_created=True)}
    for one in hooks.recorded.all():
        columns = {field.column for field in models[one.table]._meta.local_concrete_fields}
        named = {*one.only, *one.beside, *one.hashed, *one.without}
        assert named <= columns, (one.table, named - columns)


def test_secrets_and_personal_data_are_in_no_entry():
    with doing(by_somebody()):
        user = User.objects.create_user("ada", email="ada@example.org", password="a-long-password", first_name="Ada")
    made = newest()

    assert made["changes"][0]["object"] == f"auth_user/{user.pk}"
    assert made["changes"][0]["after"]["username"] == "ada"
    for column in ("password", "email", "first_name"):
        assert made["changes"][0]["after"][column].keys() == {"salted"}
    assert user.password not in str(made)
    assert "ada@example.org" not in str(made)


def test_a_change_is_recorded_with_its_values_and_what_did_not_change_is_not():
    space = Space.objects.create(name="north", description="old")
    with doing(by_somebody()):
        Space.objects.filter(pk=space.pk).update(description="new", name="north")
    assert newest()["changes"] == [
        {"object": f"access_space/{space.pk}", "before": {"description": "old"}, "after": {"description": "new"}}
    ]

    with doing(by_somebody()):
        Space.objects.filter(pk=space.pk).delete()
    assert newest()["changes"] == [
        {"object": f"access_space/{space.pk}", "before": {"id": space.pk, "name": "north", "description": "new"}}
    ]


def test_what_is_rolled_back_is_not_recorded_and_what_is_left_out_calls_no_trigger():
    with doing(by_somebody()), transaction.atomic():
        Space.objects.create(name="kept")
        inner = transaction.savepoint()
        Space.objects.create(name="gone")
        transaction.savepoint_rollback(inner)
    assert [each["after"]["name"] for each in newest()["changes"]] == ["kept"]

    token = key(Scope.VIEWER)
    before = newest()
    Api(token).get("/runs")
    assert ApiKey.objects.get().last_used_at is not None
    assert newest() == before


def test_each_transaction_of_an_operation_has_its_changes_in_an_entry():
    with doing(by_somebody()):
        for name in ("one", "two"):
            with transaction.atomic():
                Space.objects.create(name=name)
        with transaction.atomic():
            Space.objects.filter(name="none").delete()
    with connection.cursor() as cursor:
        cursor.execute("SELECT body, changes FROM audit_entry ORDER BY id")
        told = [reading.told(*row) for row in cursor.fetchall()]
    assert [(each["kind"], each["changes"][0]["after"]["name"]) for each in told] == [
        ("operation", "one"),
        ("effect", "two"),
    ]


def test_what_is_long_or_much_is_bounded_and_counted():
    with doing(by_somebody()), transaction.atomic():
        Space.objects.create(name="long", description="x" * 100_000)
        Space.objects.bulk_create(Space(name=f"space-{number}", description="y" * 300) for number in range(300))
    with connection.cursor() as cursor:
        cursor.execute("SELECT changes FROM audit_entry ORDER BY id DESC LIMIT 1")
        (text,) = cursor.fetchone()
    told = orjson.loads(text)

    assert told[0]["after"]["description"]["length"] == 100_000
    assert len(text) < 32_000
    assert len(told) - 1 + told[-1]["more"] == 301


def test_a_form_of_the_admin_records_rows_of_many_to_many_fields_too():
    User.objects.create_superuser("root", password="a-long-password")
    client = Client()
    client.login(username="root", password="a-long-password")
    group = Group.objects.create(name="auditors")
    user = User.objects.create_user("ben", password="a-long-password")
    form = {
        "username": "ben", "groups": [group.pk], "is_active": "on", "is_staff": "on",
        "date_joined_0": "2026-11-26", "date_joined_1": "10:00:00",
    }  # fmt: skip
    answer = client.post(f"/admin/auth/user/{user.pk}/change/", form)
    assert answer.status_code == 302, answer.content[:2000]

    told = {each["object"].partition("/")[0]: each for each in newest()["changes"]}
    assert told["auth_user"]["before"]["is_staff"] is False
    assert told["auth_user"]["after"]["is_staff"] is True
    assert told["auth_user_groups"]["after"]["group_id"] == group.pk


def test_the_search_the_export_and_the_verifier_know_of_changes(tmp_path):
    publish()
    api = Api(key(Scope.ADMIN))
    assert WorkflowDefinition.objects.count() == 1
    with doing(by_somebody()):
        Role.objects.create(name="night", permissions=["workflows.view_workflowrun"])

    found = api.get("/audit", action="command:test").json()["items"][0]["entry"]["changes"]
    assert found[0]["after"]["name"] == "night"
    out = StringIO()
    call_command("audit", "export", "--format", "csv", "--action", "command:test", stdout=out)
    assert "night" in out.getvalue()
    with connection.cursor() as cursor:
        cursor.execute("SELECT line FROM audit_lines WHERE line LIKE '%\"night\"%'")
        (line,) = cursor.fetchone()
    assert orjson.loads(line)["unsealed"]["changes"][0]["after"]["permissions"] == ["workflows.view_workflowrun"]
