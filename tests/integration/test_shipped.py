"""What a release ships beside what a user made of it: nothing of the user's is ever overridden."""

import json
from io import StringIO
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command
from django.db import transaction

from erip.foundation import hooks
from erip.foundation.shipped import Standing
from schedules import shipping, stored
from schedules.errors import UnknownSchedule
from schedules.models import Schedule, ScheduleVersion
from workflows import engine, store
from workflows.decisions import stored as decisions
from workflows.events import types
from workflows.library.models import LoadedReference, Obligation
from workflows.library.shipping import files, obligations
from workflows.models import Worker, WorkflowVersion

pytestmark = pytest.mark.django_db


def say(*words: str, **options: Any) -> str:
    out = StringIO()
    call_command(*words, stdout=out, **options)
    return out.getvalue()


def standing(kind: str, name: str) -> Standing:
    source = next(source for source in hooks.shipped.all() if source.kind == kind)
    return next(article.standing for article in source.articles() if article.name == name)


def an_edit(kind: str, by: str) -> str:
    """Change one thing of this kind in the way in which its own door does. Returns its name."""
    if kind == "definition":
        source = files.definitions()["breach-response"].replace("timeout: 120d", "timeout: 121d", 1)
        engine.publish(None, source, "yaml", author=by)
        return "breach-response"
    if kind == "table":
        row = files.fixture("decision-tables.yaml")[0]
        decisions.publish(row["name"], {**row["table"], "rules": row["table"]["rules"][1:]}, author=by)
        return str(row["name"])
    if kind == "obligation":
        Obligation.objects.filter(code="gdpr-33").update(wording="within two days")
        return "gdpr-33"
    if kind == "schedule":
        row = yaml.safe_load(shipping.FILE.read_text("utf-8"))["compliance-quarterly"]
        stored.put("compliance-quarterly", document=row["schedule"] | {"overlap": "wait"}, author=by)
        return "compliance-quarterly"
    types.register("nexus.threat.detected", {"type": "object", "title": "ours"}, author=types.PLATFORM)
    # Somebody's version accepts all that the one before accepts.
    types.register("nexus.threat.detected", {"type": "object", "title": "ours too"}, author=by)
    return "nexus.threat.detected"


KINDS = ["definition", "table", "obligation", "event-type", "schedule"]


def test_every_kind_that_is_shipped_is_tested_here() -> None:
    assert sorted(source.kind for source in hooks.shipped.all()) == sorted(KINDS)


def test_before_the_first_bootstrap_all_is_new_and_after_it_all_is_as_shipped() -> None:
    def found() -> set[Standing]:
        return {article.standing for source in hooks.shipped.all() for article in source.articles()}

    LoadedReference.objects.all().delete()
    assert found() == {Standing.NEW}
    call_command("bootstrap", "--json", stdout=StringIO())
    assert found() == {Standing.SAME}
    assert say("shipped").endswith("are as shipped\n")
    assert json.loads(say("bootstrap", "--json"))["left_alone"] == []


def test_what_somebody_changed_is_left_alone_named_and_can_be_compared_and_taken() -> None:
    call_command("bootstrap", "--json", stdout=StringIO())
    names = {kind: an_edit(kind, by="user:anna") for kind in KINDS}

    again, listed = say("bootstrap"), say("shipped", "list").splitlines()

    for kind, name in names.items():
        assert standing(kind, name) is Standing.YOURS
        assert f"left alone: {kind} {name} (" in again
        assert [line for line in listed if line.startswith(f"{kind} {name} (")]
        assert say("shipped", "diff", name).startswith(f"--- {kind} {name}, here\n+++ shipped\n")

    call_command("shipped", "take", *names.values(), stdout=StringIO())

    for kind, name in names.items():
        assert standing(kind, name) is Standing.SAME
    assert say("shipped", "diff", *names.values()) == ""
    assert "left alone" not in say("bootstrap")
    assert say("shipped", "take", *names.values()).count("as shipped already") == len(KINDS)


def test_what_nobody_changed_follows_the_release(monkeypatch: Any) -> None:
    # As if an earlier release had shipped, and loaded, another wording.
    earlier = [row | {"wording": "within a week"} for row in files.fixture("obligations")]
    with monkeypatch.context() as patch:
        patch.setattr(obligations.files, "fixture", lambda name: earlier)
        with transaction.atomic():
            assert obligations.bring_up_to_date() == len(earlier)
    assert standing("obligation", "gdpr-33") is Standing.OLDER
    call_command("bootstrap", "--json", stdout=StringIO())
    authors = {
        "definition": "bootstrap", "table": "ERIP", "event-type": types.PLATFORM, "schedule": shipping.AUTHOR,
    }  # fmt: skip
    names = {kind: an_edit(kind, by=author) for kind, author in authors.items()}
    assert {standing(kind, name) for kind, name in names.items()} == {Standing.OLDER}
    assert "left alone" not in say("bootstrap")
    assert {standing(kind, name) for kind, name in names.items()} == {Standing.SAME}
    assert standing("obligation", "gdpr-33") is Standing.SAME


def test_a_deleted_obligation_stays_deleted_until_it_is_taken() -> None:
    call_command("bootstrap", "--json", stdout=StringIO())
    Obligation.objects.filter(code="gdpr-33").delete()
    assert "left alone: obligation gdpr-33 (deleted here)" in say("bootstrap")
    call_command("shipped", "take", "obligation:gdpr-33", stdout=StringIO())
    assert Obligation.objects.filter(code="gdpr-33").exists()


def test_an_obligation_that_an_early_release_loaded_is_left_alone_unless_it_is_as_shipped() -> None:
    call_command("bootstrap", "--json", stdout=StringIO())
    LoadedReference.objects.update(contents={})
    Obligation.objects.filter(code="gdpr-34").update(wording="at once")
    assert "left alone: obligation gdpr-34 (changed here, or loaded by an early release)" in say("bootstrap")
    # What was as shipped is known from now on.
    Obligation.objects.filter(code="gdpr-33").update(wording="at once")
    assert "obligation gdpr-33 (changed here)" in say("shipped")


def test_versions_of_a_person_stay_in_the_history() -> None:
    call_command("bootstrap", "--json", stdout=StringIO())
    an_edit("definition", by="user:anna")
    an_edit("table", by="anna")
    call_command("shipped", "take", "definition:breach-response", stdout=StringIO())
    authors = WorkflowVersion.objects.filter(definition__name="breach-response").order_by("number")
    assert list(authors.values_list("author", flat=True)) == ["bootstrap", "user:anna", "bootstrap"]
    assert [one.author for one in decisions.history("breach-approval")].count("anna") == 1


def test_names_that_are_not_shipped_are_all_refused() -> None:
    with pytest.raises(CommandError) as refused:
        call_command("shipped", "diff", "no-such", "nor-this")
    assert str(refused.value).splitlines() == [
        "no-such: nothing of this name is shipped",
        "nor-this: nothing of this name is shipped",
    ]
    with pytest.raises(CommandError, match="Name what to take"):
        call_command("shipped", "take")


def test_a_shipped_schedule_is_stored_paused_and_one_that_was_deleted_does_not_come_back() -> None:
    call_command("bootstrap", "--json", stdout=StringIO())
    schedule = Schedule.objects.get(name="compliance-quarterly")
    assert (schedule.paused_by, schedule.paused_reason.partition(".")[0]) == ("bootstrap", "Shipped paused")
    assert schedule.next_at is not None
    # A newer wording changes neither that it goes nor that it rests.
    stored.resume(schedule.name)
    an_edit("schedule", by=shipping.AUTHOR)
    call_command("bootstrap", "--json", stdout=StringIO())
    assert standing("schedule", schedule.name) is Standing.SAME
    assert Schedule.objects.get(name=schedule.name).paused_at is None
    stored.delete(schedule.name, author="user:anna")
    assert "left alone: schedule compliance-quarterly (deleted here)" in say("bootstrap")
    with pytest.raises(UnknownSchedule):
        stored.latest(schedule.name)
    assert "stored as version" in say("shipped", "take", "schedule:compliance-quarterly")
    assert Schedule.objects.get(name=schedule.name).paused_by == "bootstrap"


def test_a_schedule_whose_workflow_takes_another_input_is_left_out() -> None:
    source = "name: compliance-assessment\ninput: {type: object, required: [x]}\nsteps: {w: {wait: {for: 1h}}}"
    engine.publish(None, source, "yaml", author="user:anna")
    assert json.loads(say("bootstrap", "--json"))["data"]["schedules"] == 0
    assert not ScheduleVersion.objects.exists()


def test_what_a_living_process_of_an_earlier_release_cannot_read_waits_for_the_end_of_the_upgrade() -> None:
    old = store.register_worker("old", "here", 1, ["bulk"])
    Worker.objects.filter(pk=old).update(level=1)
    done = json.loads(say("bootstrap", "--json"))
    # They wait, ask people, or ask a table.
    asking = {"breach-response", "questionnaire", "regulatory-change", "vendor-assessment", "vulnerability-response"}
    # And one gives an input that came with a level.
    assert set(done["not_yet"]) == asking | {"compliance-assessment"}
    assert "worker old" in done["not_yet"]["breach-response"]
    assert "breach-response: not published yet. Living processes" in say("bootstrap")
    Worker.objects.filter(pk=old).delete()
    assert json.loads(say("bootstrap", "--json"))["not_yet"] == {}
    assert standing("definition", "breach-response") is Standing.SAME
