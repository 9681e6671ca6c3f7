"""Schedules against a real database: each moment starts once, and what people ask of a schedule."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from erip.access.scopes import Scope
from schedules import firing, stored
from schedules.errors import ScheduleInvalid
from schedules.models import Schedule, ScheduledStart
from tests.definitions import publish as publish_text
from tests.integration.test_bad_rows import spoil
from tests.support.api import INPUT, Api, key, publish
from tests.support.races import together
from workflows import engine
from workflows.models import WorkflowRun, WorkflowVersion

pytestmark = pytest.mark.django_db(transaction=True)

SAYS: dict[str, Any] = {
    "workflow": "look-up",
    "input": INPUT,
    "every": "1h",
    "from": "2026-01-01T00:00:00Z",
    "catch_up": "latest",
    "overlap": "allow",
}


@pytest.fixture(autouse=True)
def _published() -> None:
    publish()
    firing._unreadable.clear()  # it belongs to a leader's process


def store(name: str = "hourly", **says: Any) -> None:
    stored.put(name, document={**SAYS, **says}, author="test")


def put(api: Api, path: str, body: Any) -> Any:
    return api.send("PUT", path, orjson.dumps(body))


def put_due(name: str = "hourly", **says: Any) -> datetime:
    """A schedule whose first moment came a second ago, and was not decided on yet."""
    at = stored.clock() - timedelta(seconds=1)
    store(name, **{"every": "1h", "from": at.isoformat(), **says})
    Schedule.objects.filter(name=name).update(next_at=at, next_start_at=at)
    return at


def test_a_moment_that_came_starts_one_run_with_what_the_schedule_says() -> None:
    at = put_due(business_key="nightly", lane="bulk")
    firing.work_off.do()

    row = ScheduledStart.objects.get()
    run = WorkflowRun.objects.get()
    assert (row.at, row.outcome, row.cause, row.run_id) == (at, "STARTED", "planned", run.pk)
    assert (run.workflow, run.input, run.business_key, run.lane) == ("look-up", INPUT, "nightly", "bulk")
    assert run.started_by == "schedule:hourly"
    firing.work_off.do()
    assert WorkflowRun.objects.count() == 1
    assert Schedule.objects.get().next_at == at + timedelta(hours=1)


def test_two_leaders_that_look_at_once_start_it_once() -> None:
    for number in range(8):
        put_due(f"s{number}")
    together([firing.work_off.do] * 4)
    firing.work_off.do()
    assert ScheduledStart.objects.filter(outcome="STARTED").count() == 8
    assert WorkflowRun.objects.count() == 8


def test_a_leader_that_is_cut_off_after_the_start_loses_and_doubles_nothing() -> None:
    put_due()
    firing.decide_due()
    row = ScheduledStart.objects.get()
    assert row.outcome == "STARTING"
    firing.start(row)  # the first leader: started and noted
    first = ScheduledStart.objects.get().run_id
    # The same, but the note was lost with the process.
    ScheduledStart.objects.update(outcome="STARTING", run_id=None)
    firing.start_open()
    assert ScheduledStart.objects.get().run_id == first
    # A leader that was frozen before the start and thaws now.
    firing.start(row)
    assert WorkflowRun.objects.count() == 1


def test_a_leader_that_dies_while_it_decides_leaves_the_moment_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    put_due()

    class Died(BaseException):
        pass

    def die(*_: Any, **__: Any) -> None:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(Schedule, "save", die)
        with pytest.raises(Died):
            firing.decide("hourly")
    assert not ScheduledStart.objects.exists()
    firing.work_off.do()
    assert ScheduledStart.objects.get().outcome == "STARTED"


@pytest.mark.parametrize(("overlap", "outcome"), [("allow", "STARTED"), ("skip", "SKIPPED"), ("wait", "WAITING")])
def test_the_run_before_goes_on(overlap: str, outcome: str) -> None:
    put_due(overlap=overlap)
    firing.work_off.do()
    first = ScheduledStart.objects.get()
    again(overlap)
    firing.work_off.do()
    second = ScheduledStart.objects.exclude(pk=first.pk).get()
    assert second.outcome == outcome

    engine.cancel_run(str(first.run_id), principal="test", reason="")
    firing.work_off.do()
    second.refresh_from_db()
    assert second.outcome == ("STARTED" if overlap == "wait" else outcome)


def again(overlap: str) -> None:
    """Another moment has come, half a second after the last."""
    row = ScheduledStart.objects.order_by("-at")[0]
    at = row.at + timedelta(milliseconds=500)
    document = {**SAYS, "overlap": overlap, "from": at.isoformat()}
    stored.put("hourly", document=document, author="test")
    Schedule.objects.update(next_at=at, next_start_at=at)


def test_a_schedule_is_paused_when_its_runs_fail() -> None:
    at = put_due(pause_on_failure=2)
    schedule = Schedule.objects.get()
    for hours in (2, 1):
        ScheduledStart.objects.create(
            schedule=schedule, at=at - timedelta(hours=hours), version=1, cause="planned", outcome="FAILED", reason="x"
        )
    firing.work_off.do()
    schedule.refresh_from_db()
    assert schedule.paused_at is not None
    assert "2 runs failed" in schedule.paused_reason
    assert not WorkflowRun.objects.exists()


def test_a_start_that_is_refused_says_why_and_the_schedule_goes_on() -> None:
    put_due()
    # The workflow now asks for something else.
    definition = """\
name: look-up
input: {type: object, required: [other]}
steps: {enrich: {uses: test.look_up, with: {cves: []}}}
"""
    engine.publish(None, definition, "yaml", author="test")
    firing.work_off.do()
    row = ScheduledStart.objects.get()
    assert row.outcome == "FAILED"
    assert "other" in row.reason or "input" in row.reason
    assert Schedule.objects.get().next_at is not None


def test_an_unreadable_schedule_is_left_as_it_is_and_stops_no_other() -> None:
    put_due("good")
    put_due("odd")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE schedules_scheduleversion DISABLE TRIGGER USER")
        cursor.execute(
            "UPDATE schedules_scheduleversion SET document = '{\"every\": 5}' WHERE schedule_id = %s",
            [Schedule.objects.get(name="odd").pk],
        )
        cursor.execute("ALTER TABLE schedules_scheduleversion ENABLE TRIGGER USER")
    firing.work_off.do()
    assert Schedule.objects.get(name="odd").paused_at is None
    assert Api(key(Scope.VIEWER)).get("/schedules/odd").json()["problem"]
    assert ScheduledStart.objects.get().schedule.name == "good"


# --- the API


def test_a_schedule_by_api_from_its_first_to_its_last_day() -> None:
    api, viewer = Api(key(Scope.ADMIN)), Api(key(Scope.VIEWER))
    body = {"schedule": {**SAYS, "cron": "0 7 * * *", "timezone": "Europe/Berlin"}, "description": "Each morning."}
    del body["schedule"]["every"], body["schedule"]["from"]  # type: ignore[attr-defined]

    assert put(api, "/schedules/morning", body).status_code == 201
    assert put(api, "/schedules/morning", body).json() == {"name": "morning", "version": 1, "changed": False}
    assert put(viewer, "/schedules/other", body).status_code == 403
    seen = viewer.get("/schedules/morning").json()
    assert (seen["schedule"], seen["problem"], seen["paused_at"]) == (body["schedule"], None, None)
    coming = viewer.get("/schedules/morning/preview?count=3&after=2026-03-28T12:00:00Z").json()["items"]
    assert [one["local"] for one in coming] == [
        "2026-03-29T07:00:00+02:00",
        "2026-03-30T07:00:00+02:00",
        "2026-03-31T07:00:00+02:00",
    ]
    assert [each["name"] for each in viewer.get("/schedules").json()["items"]] == ["morning"]

    paused = api.post("/schedules/morning/pause", {"reason": "holidays"}).json()
    assert paused["paused_reason"] == "holidays"
    assert api.post("/schedules/morning/pause", {}).status_code == 409
    started = api.post("/schedules/morning/trigger", {})
    assert (started.status_code, started.json()["outcome"], started.json()["cause"]) == (202, "STARTED", "manual")
    assert api.get(f"/runs/{started.json()['run_id']}").status_code == 200
    assert api.post("/schedules/morning/resume", {}).json()["paused_at"] is None
    assert api.post("/schedules/morning/resume", {}).status_code == 409
    starts = viewer.get("/schedules/morning/starts?limit=1").json()
    assert (len(starts["items"]), starts["next_cursor"]) == (1, None)

    assert api.send("DELETE", "/schedules/morning", b"").status_code == 204
    assert api.get("/schedules/morning").status_code == 404
    assert api.post("/schedules/morning/trigger", {}).status_code == 404
    assert WorkflowRun.objects.filter(pk=UUID(started.json()["run_id"])).exists()


def test_faults_of_a_schedule_come_at_once_with_their_paths() -> None:
    api = Api(key(Scope.ADMIN))
    wrong = {"workflow": "look-pu", "cron": "x y", "overlap": "skip", "input": {"cves": 5}}
    for answer in (
        put(api, "/schedules/a", {"schedule": wrong}),
        api.post("/schedule-previews", {"schedule": wrong}),
    ):
        assert answer.status_code == 422
        said = str(answer.json()["faults"])
        for part in ("look-up", "timezone", "cron", "catch_up"):
            assert part in said
    for hostile in (None, [], 5, {"x": "\N{GRINNING FACE}" * 50}):
        assert put(api, "/schedules/a", {"schedule": hostile}).status_code == 422
    assert not Schedule.objects.exists()


def test_a_backfill_says_first_what_it_would_start_and_starts_each_moment_once() -> None:
    api = Api(key(Scope.ADMIN))
    store()
    time = {"from": "2026-01-02T00:00:00Z", "to": "2026-01-02T06:00:00Z"}
    said = api.post("/schedules/hourly/backfill", time).json()
    assert (said["dry_run"], said["starts"], len(said["items"])) == (True, 6, 6)
    assert not ScheduledStart.objects.exists()

    done = api.post("/schedules/hourly/backfill", {**time, "dry_run": False})
    assert (done.status_code, done.json()["starts"]) == (202, 6)
    assert api.post("/schedules/hourly/backfill", {**time, "dry_run": False}).json()["starts"] == 0
    firing.work_off.do()
    assert (
        WorkflowRun.objects.count() == ScheduledStart.objects.filter(outcome="STARTED", cause="backfill").count() == 6
    )

    for wrong in (
        {"from": time["to"], "to": time["from"]},
        {"from": time["from"], "to": "2999-01-01T00:00:00Z"},
        {"from": "2020-01-01T00:00:00Z"},
    ):
        assert api.post("/schedules/hourly/backfill", wrong).status_code == 422
    store("often", every="10s")
    too_long = {"from": "2026-01-02T00:00:00Z", "to": "2026-01-03T00:00:00Z"}
    assert "1,000" in str(api.post("/schedules/often/backfill", too_long).json()["faults"])


def test_a_changed_input_keeps_a_moment_that_is_due_and_changed_moments_count_from_now() -> None:
    at = put_due()
    document = {**stored.history("hourly")[0].document, "input": {"cves": []}}
    stored.put("hourly", document=document, author="test")
    assert Schedule.objects.get().next_at == at
    stored.put("hourly", document={**document, "every": "2h"}, author="test")
    assert Schedule.objects.get().next_at > stored.clock()


def test_a_schedule_that_never_comes_is_refused() -> None:
    never = {**SAYS, "cron": "0 0 30 2 *", "timezone": "UTC"}
    del never["every"], never["from"]
    with pytest.raises(ScheduleInvalid):
        stored.put("never", document=never, author="test")


def test_the_pages_of_schedules() -> None:
    client = Client()
    client.force_login(
        User.objects.create_superuser("root", password="a-long-password"),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    put_due(input={"cves": ["<script>alert(1)</script>"]})
    firing.work_off.do()
    schedule = Schedule.objects.get()
    listed = client.get(reverse("admin:schedules_schedule_changelist")).content.decode()
    assert "every 1h" in listed
    page = client.get(reverse("admin:schedules_schedule_change", args=[schedule.pk])).content.decode()
    assert "<script>alert(1)" not in page
    assert reverse("admin:workflows_workflowrun_change", args=[ScheduledStart.objects.get().run_id]) in page
    for action in ("pause", "trigger", "resume"):
        chosen = {"action": action, "_selected_action": [str(schedule.pk)]}
        client.post(reverse("admin:schedules_schedule_changelist"), chosen, follow=True)
    schedule.refresh_from_db()
    assert schedule.paused_at is None
    assert ScheduledStart.objects.filter(cause="manual", by="user:root", outcome="STARTED").count() == 1


def test_the_example_of_the_documentation_is_accepted() -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/schedules.md").read_text()
    body = orjson.loads(page.partition("```json\n")[2].partition("```")[0])
    api = Api(key(Scope.AUTHOR))
    assert put(api, "/schedules/each-day", body).status_code == 201
    assert len(api.post("/schedule-previews", {"schedule": body["schedule"], "count": 5}).json()["items"]) == 5


def test_one_whose_workflow_cannot_be_read_keeps_no_other_back_and_says_why() -> None:
    publish_text("name: spoilt\nsteps:\n  a: {uses: sample.echo, with: {value: 1}}\n")
    put_due("a-spoilt", workflow="spoilt", input={})
    put_due("b-good")
    version = WorkflowVersion.objects.get(definition__name="spoilt").pk
    spoil("workflows_workflowversion", "source", "steps: [", f"id = {version}")

    firing.work_off.do()

    assert WorkflowRun.objects.get().started_by == "schedule:b-good"
    answer = Api(key()).get("/schedules")
    problems = {one["name"]: one["problem"] for one in orjson.loads(answer.content)["items"]}
    assert problems["a-spoilt"]
    assert problems["b-good"] is None


def test_only_the_page_of_a_schedule_reads_what_it_said_before() -> None:
    for number in range(3):
        store(jitter=f"{number + 1}s")
    api = Api(key())
    for method, path, body in (
        ("GET", "/schedules/hourly/preview", None),
        ("GET", "/schedules/hourly/starts", None),
        ("POST", "/schedules/hourly/pause", {}),
        ("POST", "/schedules/hourly/resume", {}),
        ("POST", "/schedules/hourly/trigger", {}),
        ("POST", "/schedules/hourly/backfill", {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T05:00:00Z"}),
    ):
        with CaptureQueriesContext(connection) as captured:
            answer = api.get(path) if method == "GET" else api.send(method, path, orjson.dumps(body))
        assert answer.status_code < 300, (path, answer.content)
        read = [each["sql"] for each in captured if "schedules_scheduleversion" in each["sql"]]
        assert read, path
        assert not [sql for sql in read if "LIMIT 100" in sql], path


def test_a_leader_leaves_a_schedule_that_it_cannot_read_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    at = put_due("newer")
    put_due("older")
    read = stored.spec_of

    def spec_of(version: Any) -> Any:
        if version.schedule.name == "newer":
            raise ScheduleInvalid(faults=[])
        return read(version)

    with monkeypatch.context() as old_release:
        old_release.setattr(stored, "spec_of", spec_of)
        old_release.setattr(firing, "LIMIT", 1)
        while firing.decide_due():
            pass
        assert [row.schedule.name for row in ScheduledStart.objects.all()] == ["older"], "it does not hold up others"
        newer = Schedule.objects.get(name="newer")
        assert (newer.paused_at, newer.next_at) == (None, at), "it is as it was"
    firing._unreadable.clear()  # a leader of the newer release
    firing.work_off.do()
    assert ScheduledStart.objects.get(schedule__name="newer").at == at


def test_what_became_of_moments_long_ago_is_forgotten_but_for_what_is_still_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(firing, "KEEP_LAST", 3)
    monkeypatch.setattr(firing, "FORGET_LIMIT", 2)
    store()
    store("quiet")
    hourly, quiet = Schedule.objects.get(name="hourly"), Schedule.objects.get(name="quiet")
    (run,) = engine.start_runs("look-up", [engine.StartRequest(INPUT)], principal="test")
    begin = stored.clock() - timedelta(days=200)

    def row(schedule: Schedule, place: int, days: int, **more: Any) -> None:
        ScheduledStart.objects.create(
            schedule=schedule,
            at=begin + timedelta(hours=place),
            version=1,
            cause="planned",
            decided_at=stored.clock() - timedelta(days=days),
            **{"outcome": "SKIPPED", **more},
        )

    row(hourly, 0, 199, outcome="STARTED", run_id=run.id)  # it goes on
    for place in range(1, 6):
        row(hourly, place, 199)
    row(hourly, 6, 199, outcome="STARTING")
    for place in range(7, 10):
        row(hourly, place, 10)
    for place in range(3):
        row(quiet, place, 199)  # the last that it has
    while firing.forget.do():
        pass
    kept = [round((each.at - begin) / timedelta(hours=1)) for each in hourly.starts.order_by("at")]
    assert kept == [0, 6, 7, 8, 9]
    assert quiet.starts.count() == 3


def test_the_list_of_schedules_is_read_page_by_page() -> None:
    for name in ("c", "a", "d", "b"):
        store(name)
    stored.delete("b", author="test")
    api = Api(key(Scope.VIEWER))
    names, path = [], "/schedules?limit=2"
    while path:
        page = api.get(path).json()
        names.append([item["name"] for item in page["items"]])
        path = page["next_cursor"] and f"/schedules?limit=2&cursor={page['next_cursor']}"
    assert names == [["a", "c"], ["d"]]
    for query in ("limit=0", "limit=x", "cursor=%00", "cursor=A", f"cursor={'a' * 64}", "more=1"):
        assert api.get(f"/schedules?{query}").status_code == 400, query
