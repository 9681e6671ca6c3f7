"""Controls: the data is whole, the checks look, and one that fails raises an alert."""

from datetime import timedelta
from io import StringIO

import orjson
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from erip.access.models import ApiKey
from erip.access.scopes import Scope
from erip.access.sign_in_models import Factor
from erip.audit import entries
from erip.audit.operation import Operation, doing
from monitoring import gathering
from monitoring.alerting import shipped
from monitoring.conf import conf
from monitoring.controls import looking
from monitoring.controls.results import Status, checks, fails, holds, look
from monitoring.store.controls import latest_results, note_results
from tests.support.api import Api, key
from tests.support.sealing import seal

pytestmark = pytest.mark.django_db(transaction=True)


def write(settings, *, number: int = 1) -> None:
    """Entries that are sealed and signed for."""
    settings.ERIP_AUDIT_CHECKPOINT_SECONDS = 0.0
    for one in range(number):
        with doing(Operation("command", "command:test", lambda: "os:test")):
            entries.write({"kind": "effect", "action": f"one.{one}"})
    seal()
    settings.ERIP_AUDIT_CHECKPOINT_SECONDS = 60.0


def test_every_check_looks_and_answers_on_a_real_database(settings):
    write(settings)
    found = looking.look_at_all()

    assert found.keys() == checks().keys()
    broken = {name: one.sentence for name, one in found.items() if "could not be looked at" in one.sentence}
    assert not broken
    # The tests run as the owner of the tables: that is what the check is for.
    assert found["database-role"].status is Status.FAILS
    assert found["audit-checkpoint"].status is Status.HOLDS
    assert found["audit-entries"].status is Status.HOLDS
    assert found["audit-recorded"].status is Status.HOLDS
    assert found["restore-drill"].status is Status.UNKNOWN


def test_an_entry_or_a_checkpoint_that_was_changed_is_seen(settings):
    write(settings, number=3)
    assert look("audit-entries").status is Status.HOLDS
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_entry DISABLE TRIGGER USER")
        cursor.execute("UPDATE audit_entry SET body = replace(body, 'one.1', 'one.x')")
        cursor.execute("ALTER TABLE audit_entry ENABLE TRIGGER USER")
    assert look("audit-entries").status is Status.FAILS

    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_checkpoint DISABLE TRIGGER USER")
        cursor.execute("UPDATE audit_checkpoint SET body = replace(body, '\"size\":', '\"size\":1')")
        cursor.execute("ALTER TABLE audit_checkpoint ENABLE TRIGGER USER")
    assert look("audit-checkpoint").status is Status.FAILS


def test_a_table_that_is_recorded_no_more_is_seen():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE access_space DISABLE TRIGGER audit_changed")
        try:
            found = look("audit-recorded")
        finally:
            cursor.execute("ALTER TABLE access_space ENABLE TRIGGER audit_changed")
    assert (found.status, found.facts["tables"]) == (Status.FAILS, ["access_space"])


def test_keys_without_an_end_and_people_who_are_gone_are_named():
    key(Scope.VIEWER)
    long_ago = timezone.now() - timedelta(days=200)
    User.objects.create_user("gone", password="a-long-password", date_joined=long_ago)

    assert look("keys-end").facts["keys"] == ["test viewer"]
    assert look("people-present").facts["people"] == ["gone"]


def test_people_without_a_second_factor_and_keys_without_an_owner_are_named():
    ada = User.objects.create_user("ada", password="a-long-password", is_staff=True)
    own = User.objects.create_user("own", password="a-long-password")
    assert look("second-factor").facts["people"] == ["ada"]
    Factor.objects.create(user=ada, kind=Factor.Kind.CODES)
    assert look("second-factor").status is Status.FAILS, "recovery codes alone are no factor"
    Factor.objects.create(user=ada, kind=Factor.Kind.TOTP)
    assert look("second-factor").status is Status.HOLDS
    key(Scope.VIEWER)
    assert look("keys-owned").facts["keys"] == ["test viewer"]
    ApiKey.objects.update(owner=own)
    assert look("keys-owned").status is Status.HOLDS


def test_what_cannot_be_looked_at_is_unknown():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE access_apikey RENAME TO was")
        try:
            assert look("keys-end").status is Status.UNKNOWN
        finally:
            cursor.execute("ALTER TABLE was RENAME TO access_apikey")


def history() -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT check_name, status FROM monitoring_controlresult ORDER BY id")
        return cursor.fetchall()


def test_the_history_has_each_change_and_once_a_day_what_did_not_change():
    for said in (holds("a"), holds("b"), fails("c"), fails("c")):
        note_results({"backup": said})
    assert history() == [("backup", "holds"), ("backup", "fails")]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE monitoring_controlstate SET noted_at = noted_at - interval '25 hours'")
    note_results({"backup": fails("c")})
    assert history() == [("backup", "holds"), ("backup", "fails"), ("backup", "fails")]

    assert latest_results()["backup"].status is Status.FAILS
    with connection.cursor() as cursor:
        cursor.execute("UPDATE monitoring_controlstate SET at = at - interval '31 minutes'")
    assert latest_results()["backup"].status is Status.UNKNOWN


def test_only_what_a_framework_of_ours_rests_on_raises_an_alert(settings):
    note_results({"backup": fails("it fails"), "standby": holds("one streams")})

    def values() -> dict[str, float]:
        conf.cache_clear()
        found = gathering.Gathering().work(timezone.now())
        return {str(one): value for one, (_, value) in found.items() if "control_failing" in str(one)}

    try:
        assert values() == {}
        settings.ERIP_CONTROL_FRAMEWORKS = ["dora"]
        assert sorted(values().values()) == [0.0, 1.0]
    finally:
        settings.ERIP_CONTROL_FRAMEWORKS = []
        conf.cache_clear()
    rule = shipped()["control-failing"]
    assert (rule.metric, rule.by, rule.runbook) == ("erip_control_failing", ["control"], "control-failing")


def test_the_api_and_the_command_say_how_each_control_stands():
    note_results({"backup": fails("nothing is archived")})
    api = Api(key(Scope.ADMIN))

    listed = api.get("/controls").json()
    assert {one["name"] for one in listed["frameworks"]} == {"soc2", "iso27001", "gdpr", "nis2", "dora"}
    assert [one["check"] for one in listed["checks"]] == ["backup"]
    dora = api.get("/controls/dora").json()
    by_id = {one["id"]: one for one in dora["controls"]}
    assert by_id["Art.12"]["standing"] == "fails"
    assert by_id["Art.5"]["standing"] == "not_covered"
    assert by_id["Art.9"]["standing"] == "unknown"
    assert api.get("/controls/none").status_code == 404
    assert Api(key(Scope.OPERATOR)).get("/controls").status_code == 403

    out = StringIO()
    call_command("controls", "list", "dora", stdout=out)
    assert "✖ Art.12" in out.getvalue()
    out = StringIO()
    call_command("controls", "oscal", "dora", stdout=out)
    assert orjson.loads(out.getvalue())["component-definition"]["metadata"]["oscal-version"] == "1.1.2"
