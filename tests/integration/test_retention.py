"""What is past its time goes, class by class, with a certificate; a legal hold, and whatever is not known, keeps."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from erip.audit import retention as audit
from erip.ops.stack.state import ROOT
from tests.definitions import publish
from tests.integration.test_archive import LONG_AGO, age
from tests.integration.test_privacy import GREETS, about
from tests.support.api import Api, key
from tests.unit.docs.blocks import blocks_of
from workflows import engine, store
from workflows.conf import conf
from workflows.events.conf import conf as event_conf
from workflows.events.janitor import tidy_log
from workflows.leader.archive import tidy
from workflows.library.beacon.expiring import forget_reports
from workflows.library.models import Report, ReportLink
from workflows.models import ArchivedRun, ArchivedStepRun, RunEvent, StepRun, WorkflowRun, WorkflowVersion
from workflows.privacy import classes, holds, persons, retention
from workflows.privacy.errors import HeldForLaw, NotHeld
from workflows.privacy.models import Erasure, Hold, HoldQuerySet, RunKey
from workflows.store import forgetting

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = ROOT / "docs/how-to/retention.md"
YEAR = "name: greets\nretention: {runs: 365d, sensitive: 90d, reports: 30d}\n"


@pytest.fixture
def person() -> tuple[str, str]:
    return f"customer-{uuid4()}", f"Zebra-{uuid4()}"


def kept(source: str = GREETS, retention_: str = YEAR) -> None:
    publish(source.replace("name: greets\n", retention_))


def run_of(run_to_end: Any, person: tuple[str, str]) -> UUID:
    return UUID(str(run_to_end("greets", about(*person)).pk))


@pytest.fixture
def after(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let so many days have passed, for what removes."""
    return lambda days: monkeypatch.setattr(retention, "clock", lambda: timezone.now() + timedelta(days=days))


def went(report: retention.Report) -> dict[tuple[str, str], int]:
    return {(group.kind, group.workflow): group.items for group in report.groups.values()}


def everything_goes(reason: str = "r") -> dict[tuple[str, str], int]:
    return went(retention.remove(by="t", reason=reason))


def test_each_class_goes_at_its_own_time(run_to_end, person, after) -> None:
    kept()
    run, archived = run_of(run_to_end, person), run_of(run_to_end, person)
    aged = UUID(age(str(archived), timezone.now() - timedelta(days=2)))
    RunKey.objects.filter(pk=archived).update(run_id=aged)
    assert store.archive_runs(older_than=86_400.0, limit=10) == 1
    publish(GREETS.replace("name: greets", "name: others"))
    other = UUID(str(run_to_end("others", about(*person)).pk))

    after(30)
    assert everything_goes() == {}
    assert persons.open_run(run)["input"] == about(*person)  # type: ignore[index]
    after(91)
    dry = retention.preview()
    assert persons.open_run(run)["input"] == about(*person)  # type: ignore[index]
    assert went(dry) == everything_goes() == {("sensitive", "greets"): 2}
    # What was sealed is gone for good; the rest of the run, and the person's other runs, can be read.
    read = persons.open_run(run)
    assert read is not None
    assert (read["input"], read["output"]["length"]) == (
        {"person_id": None, "name": None, "case": "C-1"},
        len(person[1]),
    )
    assert persons.open_run(other)["input"] == about(*person)  # type: ignore[index]
    after(366)
    assert went(retention.preview()) == {("runs", "greets"): 2}
    assert WorkflowRun.objects.count() + ArchivedRun.objects.count() == 3
    assert everything_goes() == {("runs", "greets"): 2}
    assert everything_goes() == {}

    assert ArchivedRun.objects.count() + ArchivedStepRun.objects.count() == 0
    assert [each.pk for each in WorkflowRun.objects.all()] == [other]
    assert set(RunKey.objects.values_list("pk", flat=True)) == {other}
    certificates = [one.certificate for one in Erasure.objects.all()]
    assert sum(one["items"] for one in certificates) == 4
    assert {one["retention"][0]["why"] for one in certificates} == {
        "kept for 365 days: the definition says so", "kept for 90 days: the definition says so"
    }  # fmt: skip


def test_a_hold_keeps_and_says_so(run_to_end, person, after) -> None:
    kept()
    run = run_of(run_to_end, person)
    day, now = timedelta(days=1), timezone.now()
    after(400)
    wanted = [
        holds.Wanted("case", person=person[0]),
        holds.Wanted("case", workflow="greets"),
        holds.Wanted("case", run=run),
        holds.Wanted("case"),
        holds.Wanted("case", since=now - day, until=now + day),
        # With a run goes what is sealed of it, and with that what opens hashes of its approvals.
        holds.Wanted("case", classes=("sensitive",)),
        holds.Wanted("case", workflow="greets", classes=("audit",)),
    ]
    for one in wanted:
        number = holds.put(one, by="law").pk
        report = retention.remove(by="t", reason="r")
        assert went(report) == {}, one
        assert report.kept == {("runs", f"legal hold {number}"): 1, ("sensitive", f"legal hold {number}"): 1}
        with pytest.raises(HeldForLaw):
            persons.erase(person[0], by="t", reason="r", dry_run=False)
        holds.release(number, by="law")
        with pytest.raises(NotHeld):
            holds.release(number, by="law")
    audit.hold("case-7", since=now - day, until=now + day, reason="r")
    assert everything_goes() == {}
    audit.release("case-7", reason="r")
    # None of these has to do with it.
    for one in (
        holds.Wanted("case", person="somebody else"),
        holds.Wanted("case", workflow="other"),
        holds.Wanted("case", classes=("reports",)),
        holds.Wanted("case", since=now + day),
        holds.Wanted("case", ends_at=now - day),
    ):
        holds.put(one, by="law")

    assert everything_goes() == {("runs", "greets"): 1}
    assert not WorkflowRun.objects.exists()
    assert not StepRun.objects.exists()
    assert not RunEvent.objects.exists()


def test_a_hold_keeps_what_goes_on(person) -> None:
    publish(GREETS)
    engine.start_runs("greets", [engine.StartRequest(about(*person))], principal="t")
    holds.put(holds.Wanted("case", workflow="greets", since=timezone.now()), by="law")

    with pytest.raises(HeldForLaw):
        persons.erase(person[0], by="t", reason="r", dry_run=False)


def test_whoever_removes_asks_for_holds_in_turn_with_those_who_put_them(
    run_to_end, person, settings, after, monkeypatch
) -> None:
    """A hold that is put while something is removed is put before or after it, at every door."""
    kept()
    run_of(run_to_end, person)
    after(400)
    settings.ERIP_KEEP_ARCHIVE_MONTHS = settings.ERIP_KEEP_EVENT_MONTHS = 1
    asked: list[bool] = []
    in_force = HoldQuerySet.in_force

    def seen(self: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
            asked.append(cursor.fetchone()[0] > 0)
        return in_force(self)

    monkeypatch.setattr(HoldQuerySet, "in_force", seen)
    for cache in (conf, event_conf):
        cache.cache_clear()
    try:
        doors: list[Callable[[], object]] = [
            tidy, tidy_log.do, forget_reports.do, lambda: everything_goes(),
            lambda: persons.erase(person[0], by="t", reason="r", dry_run=False),
            lambda: audit.retire(timezone.now(), reason="r", dry_run=True),
            lambda: call_command("audit", "forget", "auth_user/1", "--reason", "r"),
        ]  # fmt: skip
        for number, door in enumerate(doors):
            asked.clear()
            door()
            assert asked, number
            assert all(asked), number
    finally:
        settings.ERIP_KEEP_ARCHIVE_MONTHS = settings.ERIP_KEEP_EVENT_MONTHS = None
        for cache in (conf, event_conf):
            cache.cache_clear()


def test_no_hold_is_asked_for_where_nothing_goes(run_to_end, person, monkeypatch) -> None:
    kept()
    run_of(run_to_end, person)
    monkeypatch.setattr(holds, "in_force", lambda: pytest.fail("the whole audit log is read for it"))

    assert everything_goes() == {}
    assert went(retention.preview()) == {}


def test_what_is_not_known_stays_and_is_named(run_to_end, person, settings, after) -> None:
    kept()
    run_of(run_to_end, person)
    after(400)
    version = WorkflowVersion.objects.get()
    WorkflowVersion.objects.bulk_create(
        [
            WorkflowVersion(
                definition=version.definition, number=version.number + 1, source=version.source, media="yaml",
                document={**version.document, "retention": {"runs": "a while"}}, content_hash="0" * 64,
            )
        ]
    )  # fmt: skip
    version.definition.latest = version.number + 1
    version.definition.save()

    report = retention.remove(by="t", reason="r")

    assert went(report) == {}
    # Nothing else says anything, so that nothing is looked at; with a rule of the site it is named.
    settings.ERIP_RETENTION_RUN_DAYS = 1
    conf.cache_clear()
    try:
        report = retention.remove(by="t", reason="r")
    finally:
        settings.ERIP_RETENTION_RUN_DAYS = None
        conf.cache_clear()
    assert report.kept == {("runs", "the newest version of its workflow cannot be read"): 1}
    assert WorkflowRun.objects.count() == 1


def test_a_run_that_can_still_change_stays(run_to_end, person, after) -> None:
    kept()
    run = run_of(run_to_end, person)
    after(400)
    StepRun.objects.filter(run=run, step="again").update(state="UNKNOWN")

    assert everything_goes() == {}
    assert forgetting.forget_runs([run]) == 0
    assert WorkflowRun.objects.filter(pk=run).exists()


def test_the_database_keeps_archived_runs_as_long_as_its_owner_promised(run_to_end, person, after) -> None:
    kept()
    old = UUID(age(str(run_of(run_to_end, person)), timezone.now() - timedelta(days=2)))
    assert store.archive_runs(older_than=86_400.0, limit=10) == 1
    after(400)
    with connection.cursor() as cursor:
        for days in (None, 500):
            forgetting.promise(cursor, days)
            try:
                report = retention.remove(by="t", reason="r")
                with pytest.raises(DatabaseError, match="still kept"), transaction.atomic():
                    forgetting.forget_runs([old])
            finally:
                forgetting.promise(cursor, 0)
            assert report.kept["runs", "ERIP_RETENTION_LEAST_DAYS, as the database has it"] == 1
    assert ArchivedRun.objects.count() == 1
    assert ("runs", "greets") in everything_goes()


def test_the_leader_goes_on_where_it_was_and_a_new_one_begins_again(run_to_end, person, monkeypatch, after) -> None:
    monkeypatch.setattr(retention, "AT_A_TIME", 2)
    kept()
    for _ in range(5):
        run_of(run_to_end, person)
    after(400)
    first, second = retention._Leader(), retention._Leader()

    assert first.step()
    assert WorkflowRun.objects.count() == 3
    while second.step():
        pass
    assert WorkflowRun.objects.count() == 0
    while first.step():
        pass
    certificates = [one.certificate for one in Erasure.objects.order_by("id")]
    assert sum(one["items"] for one in certificates if one["retention"][0]["kind"] == "runs") == 5
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM audit_entry WHERE action = 'privacy.retention'")
        assert len(cursor.fetchall()) == len(certificates)


def test_reports_go_by_their_rule_in_place_of_their_links(settings, tmp_path: Path) -> None:
    kept(
        "name: greets\nsteps: {a: {uses: sample.echo, with: {value: 1}}}\n", "name: greets\nretention: {reports: 30d}\n"
    )
    now = timezone.now()

    def report(workflow: str, days: int) -> Report:
        made = Report.objects.create(
            idempotency_key=str(uuid4()), run_id=str(uuid4()), workflow=workflow, title="t", html="h", markdown="m",
            sha256="0" * 64,
        )  # fmt: skip
        Report.objects.filter(pk=made.pk).update(created_at=now - timedelta(days=days))
        ReportLink.objects.create(report=made, expires_at=now - timedelta(days=days - 1))
        return made

    ruled, young, other, held = report("greets", 31), report("greets", 29), report("other", 400), report("held", 400)
    holds.put(holds.Wanted("case", workflow="held"), by="law")

    forget_reports.do()
    assert set(Report.objects.all()) == {ruled, young, held}, "only what nobody decides about goes by its links"
    assert everything_goes() == {("reports", "greets"): 1}

    assert set(Report.objects.all()) == {young, held}
    assert not Report.objects.filter(pk=other.pk).exists()


def test_no_month_of_the_archive_goes_that_a_hold_may_concern(run_to_end, person, settings) -> None:
    publish(GREETS)
    run = run_to_end("greets", about(*person))
    age(str(run.pk), LONG_AGO)
    store.archive_runs(older_than=86_400.0, limit=10)
    before = datetime(2026, 2, 1, tzinfo=UTC)
    number = holds.put(holds.Wanted("case", workflow="greets"), by="law").pk

    assert store.drop_archive(before=before, held=holds.keeper("runs")) == []
    holds.release(number, by="law")
    holds.put(holds.Wanted("case", classes=("events",)), by="law")

    assert store.drop_archive(before=before, held=holds.keeper("runs")) == ["2025_12"]
    assert tidy() is False


def test_with_a_month_of_the_archive_go_the_keys_of_its_runs(run_to_end, person, settings) -> None:
    publish(GREETS)
    young, old = run_of(run_to_end, person), run_of(run_to_end, person)
    aged = UUID(age(str(old), LONG_AGO))
    RunKey.objects.filter(pk=old).update(run_id=aged)
    settings.ERIP_KEEP_ARCHIVE_MONTHS = 1
    conf.cache_clear()
    try:
        number = holds.put(holds.Wanted("case", classes=("sensitive",)), by="law").pk
        tidy()
        assert set(RunKey.objects.values_list("pk", flat=True)) == {young, aged}
        holds.release(number, by="law")
        tidy()
    finally:
        settings.ERIP_KEEP_ARCHIVE_MONTHS = None
        conf.cache_clear()
    assert not ArchivedRun.objects.exists()
    assert set(RunKey.objects.values_list("pk", flat=True)) == {young}


def test_an_ended_hold_stays_as_it_was() -> None:
    number = holds.put(holds.Wanted("case"), by="law").pk
    holds.release(number, by="law")

    for change in ("UPDATE privacy_hold SET ended_at = NULL", "UPDATE privacy_hold SET reason = 'x'"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(change)
    assert Hold.objects.get(pk=number).ended_by == "law"


def test_the_api_says_what_would_go_removes_it_and_holds(run_to_end, person, after) -> None:
    kept()
    run = run_of(run_to_end, person)
    after(400)
    api = Api(key())

    wrong = api.post("/privacy/holds", {"reason": "r", "workflow": "a", "run": str(run), "classes": ["nothing"]})
    put = api.post("/privacy/holds", {"reason": "r", "subject": person[0], "ends_at": "2100-01-01T00:00:00Z"})
    twice = api.post("/privacy/holds", {"reason": "r", "subject": person[0]})
    kept_ = api.get("/privacy/retention").json()
    listed = api.get("/privacy/holds").json()["items"]
    api.post(f"/privacy/holds/{put.json()['number']}/release", {"reason": "settled"})
    dry = api.get("/privacy/retention").json()
    done = api.post("/privacy/retention", {"reason": "r"}).json()

    assert [fault["path"] for fault in wrong.json()["faults"]] == ["", "classes[0]"]
    assert (put.status_code, twice.status_code) == (201, 409)
    assert [one["kind"] for one in kept_["kept"]] == ["runs", "sensitive"]
    assert [one["number"] for one in listed] == [put.json()["number"]]
    assert (dry["items"][0]["kind"], dry["items"][0]["items"], dry["certificates"]) == ("runs", 1, [])
    # With the run goes what is sealed of it.
    assert [one["kind"] for one in dry["items"]] == ["runs", "sensitive"]
    assert (done["items"], len(done["certificates"]), done["complete"]) == (dry["items"][:1], 1, True)
    assert person[0] not in orjson.dumps([put.json(), listed]).decode()


def test_the_page_is_right(capsys) -> None:
    blocks = list(blocks_of(PAGE))
    publish(next(block.text for block in blocks if block.language == "yaml"))
    assert retention.rules().workflows["answer-complaints"] == {
        "runs": 730 * 86_400.0, "sensitive": 90 * 86_400.0, "reports": 365 * 86_400.0,
    }  # fmt: skip
    for line in next(block.text for block in blocks if block.language == "sh").splitlines():
        words, _, reason = line.partition("manage.py ")[2].replace('"', "").partition(" --reason ")
        number = Hold.objects.values_list("pk", flat=True).first()
        call_command(
            *words.replace("--number 1", f"--number {number}").split(), *(["--reason", reason] if reason else [])
        )
    told = capsys.readouterr().out
    assert "complete" in told
    assert "released" in told
    assert [hold["classes"] for hold in holds.listed(all=True)] == [["runs"]]
    with pytest.raises(CommandError, match="reason"):
        call_command("privacy", "retention", "--yes")
    listed = io.StringIO()
    call_command("privacy", "holds", "--all", stdout=listed)
    assert json.loads(listed.getvalue())[0]["reason"] == "case 12"


def test_every_class_says_what_it_is() -> None:
    assert {one.name for one in classes.all_classes()} >= {"runs", "sensitive", "reports"}
