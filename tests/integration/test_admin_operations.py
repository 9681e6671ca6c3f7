"""The pages that an operator opens first: what fails, what runs where, which rules are in force, the reports."""

import json
import re
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from tests.definitions import one_step, publish
from tests.integration.test_admin_runs import HOSTILE, staff, text
from tests.integration.test_bad_rows import spoil
from tests.support.admin_pages import all_pages
from workflows import engine, store
from workflows.admin import failing
from workflows.admin.failing import what_fails
from workflows.events import active, stored
from workflows.library.models import Report
from workflows.models import Worker, WorkflowRun, WorkflowVersion
from workflows.store.filters import RunFilter

pytestmark = pytest.mark.django_db(transaction=True)
HOME = "/admin/"


@pytest.fixture
def client(transactional_db: None) -> Client:
    return staff(superuser=True)


def many(count: int, error: dict[str, Any] | None, *, ago: timedelta = timedelta()) -> None:
    """Runs that ended so long ago, in one statement."""
    version = WorkflowVersion.objects.get(definition__name=publish(one_step("sample.echo")))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO workflows_workflowrun (id, workflow, version_id, lane, state, input, error, started_by,
                                               created_at, started_at, finished_at)
            SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
                    || substr(md5(n::text || coalesce(%(error)s, %(state)s) || at::text), 1, 3)
                    || 'a' || substr(md5(n::text), 5, 15))::uuid,
                   'one', %(version)s, 'standard', %(state)s, '{}', %(error)s::jsonb, 'test', at, at, at
            FROM generate_series(1, %(count)s) n
            CROSS JOIN LATERAL (SELECT now() - %(ago)s - n * interval '1 ms' AS at) t
            """,
            {
                "error": None if error is None else json.dumps(error),
                "version": version.pk,
                "state": "SUCCEEDED" if error is None else "FAILED",
                "count": count,
                "ago": ago,
            },
        )


def failed(code: str, step: str = "only") -> dict[str, Any]:
    cause = {"code": code, "message": f"{code} it is"}
    return {"code": "step_failed", "step": step, "message": f"step {step} failed", "cause": cause}


# --- what fails ---


def test_the_first_page_says_what_fails_by_error_and_workflow_and_since_when(client) -> None:
    many(3, failed("broken"), ago=timedelta(hours=5))
    many(2, failed("broken"))
    many(1, failed("odd", step="other"))
    many(4, None)
    many(2, failed("forgotten"), ago=timedelta(days=30))
    many(1, {"code": "timed_out", "message": "it took too long"})

    found = what_fails(timezone.now())

    told = sorted((line["error"], line["count"]) for line in found["lines"])
    assert told == [
        ("only · broken: broken it is", "5"),
        ("other · odd: odd it is", "1"),
        ("timed_out: it took too long", "1"),
    ]
    (line,) = [line for line in found["lines"] if "broken" in line["error"]]
    assert text(client, line["url"]).count("only · broken: broken it is") == 5
    shown = text(client, HOME)
    assert "broken it is" in shown
    assert "forgotten" not in shown
    first = WorkflowRun.objects.filter(error__cause__code="broken").order_by("created_at")[0]
    assert timezone.localtime(first.finished_at).strftime("%H:%M:%S") in shown


def test_more_failures_than_are_read_are_called_more(client) -> None:
    many(failing.NEWEST + 5, failed("flood"))
    (line,) = what_fails(timezone.now())["lines"]

    assert line["count"] == f"{failing.NEWEST:,} or more"
    assert line["since"].startswith("before ")


def test_more_codes_than_are_looked_at_are_said(client) -> None:
    for number in range(failing.CODES + 3):
        many(1, failed(f"c{number:03}"))
    found = what_fails(timezone.now())

    assert found["cut"]
    assert len(found["lines"]) == failing.LINES
    assert "There are more error codes" in text(client, HOME)


def test_what_fails_is_told_to_those_alone_who_may_see_runs(client) -> None:
    many(1, failed("broken"))
    assert "What fails" not in text(staff("nobody"), HOME)
    assert "What fails" in text(staff("reader", "view_workflowrun"), HOME)


def test_what_the_first_pages_read_does_not_grow_with_the_runs(client) -> None:
    """Rows that the plans touched, with 200 and with 20,000 runs: the pages read a part of bounded size."""

    def reads() -> dict[str, int]:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE workflows_workflowrun; ANALYZE workflows_steprun")
        read = {}
        for name, address in (("home", HOME), ("runs", reverse("admin:workflows_workflowrun_changelist"))):
            address += "?_facets=True"
            client.get(address)
            with CaptureQueriesContext(
                connection,
            ) as statements:
                assert client.get(address).status_code == 200
            read[name] = sum(_rows_read(one["sql"]) for one in statements if "workflows_workflowrun" in one["sql"])
            read[f"{name} statements"] = len(statements)
        return read

    many(100, None)
    many(100, failed("broken"))
    few = reads()
    many(15_000, None)
    many(5_000, failed("broken"), ago=timedelta(hours=1))
    much = reads()

    assert much["home statements"] == few["home statements"] <= 15
    # One more asks for PostgreSQL's own estimate, where there are more runs than are counted.
    assert few["runs statements"] + 1 == much["runs statements"] <= 15
    assert much["home"] < 3 * failing.NEWEST
    assert much["runs"] < 2_500


def _rows_read(sql: str) -> int:
    """How many rows the scans of a statement gave and threw away."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {sql}".replace("%", "%%"), [])
        plan = cursor.fetchone()[0]
    plan = json.loads(plan) if isinstance(plan, str) else plan

    def count(node: dict[str, Any]) -> int:
        own = 0
        if "Scan" in node["Node Type"] and "Relation Name" in node:
            removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
            own = (node["Actual Rows"] + removed) * node["Actual Loops"]
        return int(own) + sum(count(each) for each in node.get("Plans", ()))

    return count(plan[0]["Plan"])


# --- workers ---


def test_workers_say_what_they_run_and_stopped_ones_fold_away(client) -> None:
    publish(
        "name: fan\nsteps:\n  each: {uses: sample.echo, foreach: '${{ input.n }}', with: {value: 1}, max_parallel: 9}\n"
    )
    run = engine.start_runs("fan", [engine.StartRequest({"n": list(range(9))})], principal="t")[0].id
    busy = store.register_worker("busy@here", "here", 1, ["standard"])
    store.register_worker("idle@here", "here", 2, ["standard"])
    store.stop_worker(store.register_worker("gone@here", "here", 3, ["standard"]))
    while store.claim([run], worker_id=busy, lanes=["standard"]):
        pass
    listed = reverse("admin:workflows_worker_changelist")

    shown = text(client, listed)

    rows = {
        name: row
        for row in re.findall(r"<tr.*?</tr>", shown, re.S)
        for name in ("busy@", "idle@", "gone@")
        if name in row
    }
    assert "fan · each[0]" in rows["busy@"]
    assert "and 4 more" in rows["busy@"]
    assert "fan ·" not in rows["idle@"]
    assert shown.index("<details") < shown.index("gone@here")
    assert "busy@here" not in text(client, f"{listed}?stopped=yes")
    assert "gone@here" in text(client, f"{listed}?stopped=yes")
    assert "fan · each[0]" in text(client, reverse("admin:workflows_worker_change", args=[busy]))


def test_the_page_of_workers_takes_the_same_statements_for_many(client) -> None:
    listed = reverse("admin:workflows_worker_changelist")
    counts = []
    for number in range(2):
        for each in range(10 * number + 1):
            store.register_worker(f"w{number}-{each}", "here", each, ["standard"])
        client.get(listed)
        with CaptureQueriesContext(connection) as statements:
            client.get(listed)
        counts.append(len(statements))
    assert counts[0] == counts[1]
    assert Worker.objects.count() == 12


# --- triggers ---


def test_the_page_of_triggers_shows_the_rules_of_definitions_beside_stored_ones_and_names_what_cannot_be_read(
    client,
) -> None:
    source = f"name: listens\non: {{event: probe.*, if: \"event.data.x == '{'<b>'}'\", dedupe: 1h, input: {{}}}}\n"
    publish(source + "steps:\n  a: {uses: sample.echo, with: {value: 1}}\n")
    stored.put("quiet", workflow="listens", rule={"event": "probe.noise", "action": "drop"}, author="t")
    stored.put("broken", workflow="listens", rule={"event": "probe.x", "input": {}}, author="t")
    spoil("events_triggerversion", "rule", json.dumps({"event": 7}), "rule->>'event' = 'probe.x'")
    active.forget()

    shown = text(client, reverse("admin:events_trigger_changelist"))

    assert shown.index("stored: quiet") < shown.index("definition v1")
    assert "event.data.x == '<b>'" in shown
    assert "dedupe 1 h" in shown
    assert "Not in force" in shown
    assert "trigger broken" in shown
    raw = client.get(reverse("admin:events_trigger_changelist")).content.decode()
    assert "'<b>'" not in raw


# --- reports ---


@pytest.fixture
def report(transactional_db: None) -> Report:
    return Report.objects.create(
        idempotency_key="k", run_id="not-a-run", workflow="w", title=HOSTILE, html=f"<h1>{HOSTILE}</h1>", markdown="#",
        sha256="0" * 64,
    )  # fmt: skip


def test_a_report_opens_and_nothing_in_it_runs(client, report) -> None:
    address = reverse("admin:library_report_open", args=[report.pk])
    listed = client.get(reverse("admin:library_report_changelist")).content.decode()
    assert address in listed
    assert "<script>alert" not in listed

    answer = client.get(address)

    assert answer.content.decode() == report.html
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert "sandbox" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in answer.headers["Cache-Control"]


def test_a_report_opens_for_those_alone_who_may_see_reports(report) -> None:
    address = reverse("admin:library_report_open", args=[report.pk])
    assert staff("nobody").get(address).status_code == 403
    assert staff("reader", "view_report").get(address).status_code == 200
    assert Client().get(address).status_code == 302


@pytest.mark.parametrize("name", ["x", "00000000-0000-0000-0000-000000000000", "\u0000", "<b>"])
def test_a_report_that_is_not_there(client, name) -> None:
    assert client.get(reverse("admin:library_report_open", args=[name])).status_code == 404


# --- what belongs to a run ---


def test_a_runs_page_leads_to_its_reports(client, report) -> None:
    many(1, None)
    run = WorkflowRun.objects.get()
    Report.objects.filter(pk=report.pk).update(run_id=str(run.pk))

    page = reverse("admin:workflows_workflowrun_change", args=[run.pk])
    assert reverse("admin:library_report_open", args=[report.pk]) in text(client, page)
    reader = staff("reader", "view_workflowrun")
    assert "Report:" not in text(reader, page)
    assert str(run.pk) in text(client, reverse("admin:library_report_change", args=[report.pk]))


def test_a_runs_page_leads_to_the_event_that_started_it(client) -> None:
    publish("name: listens\non: {event: probe.a, input: {}}\nsteps:\n  a: {uses: sample.echo, with: {value: 1}}\n")
    run = engine.start_runs("listens", [engine.StartRequest({})], principal="event:probe.a")[0].id
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_triggeredrun (event, rule, trigger, run_id, partition, position, logged_at) "
            "VALUES (%s, %s, 'listens: on', %s, 3, 17, now())",
            [str(UUID(int=1)), str(UUID(int=2)), run],
        )
    shown = text(client, reverse("admin:workflows_workflowrun_change", args=[run]))

    assert "Started by event 3-17 through listens: on (the log does not have it any more)" in shown


# --- every form ---


def test_no_form_of_the_admin_shows_an_object_of_pythons(client) -> None:
    wrong = {}
    for model, page in all_pages().items():
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")
        answer = client.get(address)
        if answer.status_code == 200 and " object at 0x" in unescape(answer.content.decode()):
            wrong[address] = type(page).__name__

    assert wrong == {}


@pytest.mark.parametrize("table", ["workflows_workflowrun", "workflows_archivedrun"])
def test_a_filter_by_error_code_uses_the_index_of_each_table_of_runs(client, table) -> None:
    where, parameters = RunFilter(error_code="broken").where()
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        try:
            sql = f"EXPLAIN SELECT id FROM {table} r WHERE {where} ORDER BY id DESC LIMIT 51"
            cursor.execute(sql, parameters)
            plan = "\n".join(row[0] for row in cursor.fetchall())
        finally:
            cursor.execute("RESET enable_seqscan")
    conditions = [line for line in plan.splitlines() if "Index Cond" in line]
    assert conditions, plan
    assert all("'cause" in line or "{cause" in line for line in conditions), plan
