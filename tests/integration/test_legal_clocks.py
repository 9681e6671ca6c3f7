"""Legal clocks that are stored: started with their step, changed by people, by facts and by the law. The requests of
legal-clocks.md are sent here."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, connections, transaction

from erip.access import granting, keys
from erip.access.models import Space
from erip.access.scopes import Scope
from tests.support.api import Api, key
from tests.support.clocks import legal_clock
from workflows import engine
from workflows.clocks.assessing import follow_the_law
from workflows.clocks.models import LegalCase, LegalClock, Reassessment, State
from workflows.engine.spaces import move
from workflows.library import cache
from workflows.library.models import Obligation
from workflows.library.reference import sample_incident
from workflows.models import WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)

INCIDENT = """\
name: incident
steps:
  duties:
    uses: compass.assess_compliance
    with: "${{ input }}"
"""
DECLARED = """\
name: declared
input: {type: object}
clocks:
  - obligation: test-72
    starts: "${{ has(input.aware_at) ? input.aware_at : null }}"
    places: [DE]
  - obligation: test-month
    starts: {determined: "${{ steps.look.output.count > 0 && has(input.aware_at) ? input.aware_at : null }}"}
  - obligation: test-72
    if: has(input.never)
    starts: "${{ input.never }}"
steps:
  look: {uses: test.look_up, with: {cves: [CVE-2021-44228]}}
"""
Run = Callable[..., WorkflowRun]


@pytest.fixture
def api() -> Api:
    return Api(key(Scope.OPERATOR))


@pytest.fixture
def duties() -> Iterator[None]:
    """72 hours from detection, 48 hours from the filing of that, a month from determination, 24 hours for banks."""
    cache.forget()
    duty("test-72", clocks=[{"trigger": "detected", "amount": 72, "unit": "hours"}])
    duty("test-after", clocks=[{"trigger": "after:test-72", "amount": 48, "unit": "hours"}])
    duty("test-month", clocks=[{"trigger": "determined", "amount": 1, "unit": "months"}], jurisdictions=["FR"])
    duty("test-bank", clocks=[{"trigger": "aware", "amount": 24, "unit": "hours"}], sectors=["banking"], checked="")
    cache.forget()
    yield
    cache.forget()


def duty(code: str, **fields: Any) -> None:
    given = {
        "regime": "Test", "title": f"Tell about {code}", "authority": "The authority", "citation": "§ 1",
        "source_url": "https://example.org/law", "wording": "in time", "jurisdictions": ["DE"], "sectors": [],
        "data_categories": [], "conditions": [], "checked": "official",
    }  # fmt: skip
    Obligation.objects.create(code=code, **{**given, **fields})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def written(moment: datetime) -> str:
    return moment.isoformat()


def assessed(run_to_end: Run, **facts: Any) -> WorkflowRun:
    engine.publish(None, INCIDENT, "yaml", author="test")
    return run_to_end("incident", {"jurisdictions": ["DE"], "sector": "retail", **facts})


def clocks_of(api: Api, run: Any, **query: Any) -> dict[str, dict[str, Any]]:
    answer = api.get(f"/runs/{run}/clocks", **query)
    assert answer.status_code == 200, answer.content
    return {one["obligation"]: one for one in answer.json()["items"]}


def test_the_duties_of_a_breach_start_their_clocks_and_filing_one_starts_the_next(
    run_to_end: Run, settings: Any, tmp_path: Any, api: Api
) -> None:
    settings.ERIP_REPORT_DIR = tmp_path
    cache.forget()
    call_command("bootstrap", "--json")
    cache.forget()
    run = run_to_end("breach-response", sample_incident() | {"organisation_facts": ["hipaa_covered"]})
    output: Any = run.steps.get(step="compliance").output
    counted = {
        one["code"]: one
        for one in output["obligations"]
        if one["applicability"] == "applies" and one["status"] not in ("promptly", "met", "late")
    }
    shown = clocks_of(api, run.id, explain=1)
    assert set(shown) == set(counted) >= {"gdpr-33", "nis2-notification", "nis2-final"}
    for code, one in shown.items():
        if one["due_at"]:
            assert at(one["due_at"]) == at(counted[code]["deadline"])
        if one["state"] == "RUNNING":
            told = one["explanation"]
            assert at(told["due"]["at"]) == at(one["due_at"]) <= at(one["arguable_until"])
            assert told["due"]["how"][0].startswith("starts ")
            assert at(told["moments"][one["trigger"]]) == at(one["since"])
    gdpr, final = shown["gdpr-33"], shown["nis2-final"]
    assert (gdpr["verified"], gdpr["versions"]["holidays"] != "") == (True, True)
    assert "the hour of the event is not counted" in " ".join(gdpr["explanation"]["arguable"]["how"])
    # A forecast never alarms.
    assert (final["state"], final["provisional"], final["overdue"]) == ("WAITING", True, False)
    assert final["explanation"] is None
    assert LegalClock.objects.get(pk=final["id"]).next_rung_at is None

    filed = api.post(f"/runs/{run.id}/clocks/{shown['nis2-notification']['id']}/file", {"reference": "BSI-17"})
    assert (filed.status_code, filed.json()["state"]) == (200, "FILED")
    assert filed.json()["filed"]["by"].startswith("key:")
    after = LegalClock.objects.get(pk=final["id"])
    assert (after.state, after.since) == (State.RUNNING, at(filed.json()["filed"]["at"]))
    again = api.post(f"/runs/{run.id}/clocks/{shown['nis2-notification']['id']}/file", {"reference": "x"})
    assert (again.status_code, again.json()["code"]) == (409, "clock-in-state")
    # A change of a table of duties that changes nothing for the case is no news.
    Obligation.objects.filter(code="gdpr-33").update(enabled=True)
    cache.forget()
    assert follow_the_law() == ([], False)


BROKEN = """\
name: broken
input: {type: object}
clocks:
  - {obligation: test-72, starts: "${{ input.aware_at }}", places: [DE]}
  - {obligation: test-month, starts: {determined: "${{ input.found.at }}"}}
  - {obligation: test-bank, if: "input.sector == 'bank'", starts: "${{ input.aware_at }}"}
steps:
  look: {uses: test.look_up, with: {cves: [CVE-2021-44228]}}
"""


@pytest.mark.usefixtures("duties")
def test_a_clock_whose_expression_fails_is_not_known_and_costs_no_other_its_start(run_to_end: Run, api: Api) -> None:
    engine.publish(None, BROKEN, "yaml", author="test")
    run = run_to_end("broken", {"aware_at": "2026-11-20T09:00:00Z"})
    assert (run.state, run.error) == ("SUCCEEDED", None)
    found = clocks_of(api, run.id)
    assert set(found) == {"test-72", "test-month", "test-bank"}
    assert (at(found["test-72"]["due_at"]), found["test-72"]["provisional"]) == (at("2026-11-23T09:00:00Z"), False)
    # It counts from the run's creation, and says why: unknown is no reason to be silent.
    month, bank = found["test-month"], found["test-bank"]
    assert (month["state"], month["provisional"], at(month["since"])) == ("RUNNING", True, run.created_at)
    assert "starts.determined cannot be computed" in month["history"][0]["reason"]
    assert LegalClock.objects.get(pk=month["id"]).next_rung_at is not None, "it alarms"
    assert (bank["state"], at(bank["since"])) == ("RUNNING", at("2026-11-20T09:00:00Z"))
    assert "if cannot be computed" in bank["history"][0]["reason"]


def test_open_clocks_are_listed_by_due_and_stay_without_their_run(run_to_end: Run, api: Api, duties: None) -> None:
    now = datetime.now(UTC)
    runs = [assessed(run_to_end, detected_at=written(now - timedelta(hours=n))) for n in (1, 2, 3)]
    for run in runs:
        run.steps.all().delete()
        WorkflowRun.objects.filter(pk=run.pk).delete()
    found, cursor = [], None
    while True:
        page = api.get("/clocks", limit=2, **({"cursor": cursor} if cursor else {})).json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(found) == 6
    due = [at(one["due_at"]) for one in found]
    assert due == sorted(due)
    assert {one["obligation"] for one in found} == {"test-72", "test-after"}
    assert api.get("/clocks", workflow="none").json()["items"] == []
    assert {one["state"] for one in api.get("/clocks", state="WAITING").json()["items"]} == {"WAITING"}
    # A deadline may be of any year, and its cursor is read back.
    LegalClock.objects.filter(pk=found[0]["id"]).update(due_at=at("0001-01-02T00:00:00+00:00"))
    LegalClock.objects.filter(pk=found[1]["id"]).update(due_at=at("9999-12-31T00:00:00+00:00"))
    seen: list[int] = []
    cursor = None
    while cursor is not None or not seen:
        page = api.get("/clocks", limit=1, **({"cursor": cursor} if cursor else {}))
        assert page.status_code == 200, page.content
        seen += [one["id"] for one in page.json()["items"]]
        cursor = page.json()["next_cursor"]
    assert (seen[0], seen[-1], len(seen)) == (found[0]["id"], found[1]["id"], 6)
    for micros, most in (("9" * 18, 0), ("-" + "9" * 18, 6)):
        assert len(api.get("/clocks", cursor=f"after:{micros}-1").json()["items"]) == most


def test_a_clock_is_stopped_twice_resumed_amended_and_extended_by_a_person_with_a_reason(api: Api) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    clock = legal_clock(now - timedelta(hours=20))
    where = f"/runs/{clock.run_id}/clocks/{clock.pk}"

    def ago(hours: int) -> str:
        return written(now - timedelta(hours=hours))

    refused = api.post(f"{where}/stop", {"reason": "police"})
    assert (refused.status_code, refused.json()["faults"][0]["path"]) == (422, "article")
    for since, until in ((18, 16), (10, 7)):
        stopped = api.post(f"{where}/stop", {"reason": "police", "article": "§ 1", "at": ago(since)})
        assert (stopped.status_code, stopped.json()["state"]) == (200, "STOPPED")
        assert LegalClock.objects.get().next_rung_at is None
        assert api.post(f"{where}/stop", {"reason": "again", "article": "§ 1"}).status_code == 409
        resumed = api.post(f"{where}/resume", {"at": ago(until)})
        assert (resumed.status_code, resumed.json()["state"]) == (200, "RUNNING")
    assert at(resumed.json()["due_at"]) == now + timedelta(hours=72 - 20 + 5)
    assert api.post(f"{where}/stop", {"reason": "p", "article": "§ 1", "at": ago(9)}).status_code == 422
    assert api.post(f"{where}/stop", {"reason": "p", "article": "§ 1", "at": ago(-1)}).status_code == 422
    bad = api.post(f"{where}/amend", {"reason": "r", "moments": {"detected": "yesterday", "paid": 3}})
    assert sorted(one["path"] for one in bad.json()["faults"]) == ["moments.detected", "moments.paid"]
    bad = api.post(f"{where}/amend", {"reason": "r", "moments": {"guessed": ago(1), "paid": ago(-1)}})
    assert sorted(one["path"] for one in bad.json()["faults"]) == ["moments.guessed", "moments.paid"]
    amended = api.post(f"{where}/amend", {"reason": "the log says so", "moments": {"detected": ago(30)}})
    assert at(amended.json()["due_at"]) == now + timedelta(hours=72 - 30 + 5)
    until = written(now + timedelta(days=9))
    extended = api.post(f"{where}/amend", {"reason": "granted", "extended_until": until})
    assert at(extended.json()["due_at"]) == at(until)
    shorter = api.post(f"{where}/amend", {"reason": "r", "extended_until": ago(-1)})
    assert shorter.json()["faults"][0]["path"] == "extended_until"
    history = extended.json()["history"]
    assert [one["what"] for one in history] == [*(["stopped", "resumed"] * 2), "amended", "amended"]
    assert all(one["by"].startswith("key:") for one in history)
    assert at(history[-1]["due_before"]) == at(amended.json()["due_at"])
    assert api.post(f"/runs/{uuid4()}/clocks/{clock.pk}/resume", {}).status_code == 404
    viewer = Api(key(Scope.VIEWER))
    assert viewer.post(f"{where}/file", {"reference": "x"}).status_code == 403
    assert viewer.get(f"/runs/{clock.run_id}/clocks").status_code == 200
    dismissed = api.post(f"{where}/dismiss", {"reason": "It was a drill."})
    assert (dismissed.json()["state"], LegalClock.objects.get().next_rung_at) == ("DISMISSED", None)
    assert api.post(f"{where}/file", {"reference": "x"}).status_code == 409


def test_a_report_that_is_updated_moves_what_counts_from_its_latest_update(
    run_to_end: Run, api: Api, duties: None
) -> None:
    Obligation.objects.filter(code="test-after").update(
        clocks=[{"trigger": "updated:test-72", "amount": 48, "unit": "hours"}]
    )
    cache.forget()
    now = datetime.now(UTC).replace(microsecond=0)
    run = assessed(run_to_end, detected_at=written(now - timedelta(hours=30)))
    first = clocks_of(api, run.id)["test-72"]
    where = f"/runs/{run.id}/clocks/{first['id']}/file"
    assert api.post(where, {"reference": "A", "again": True}).status_code == 409
    for hours, update in ((20, False), (10, True)):
        moment = written(now - timedelta(hours=hours))
        assert api.post(where, {"reference": f"A{hours}", "at": moment, "again": update}).status_code == 200
        assert at(clocks_of(api, run.id)["test-after"]["due_at"]) == now + timedelta(hours=48 - hours)
    filed = clocks_of(api, run.id)["test-72"]["filed"]
    assert (at(filed["at"]), filed["reference"]) == (now - timedelta(hours=20), "A20")
    assert [(at(one["at"]), one["reference"]) for one in filed["updates"]] == [(now - timedelta(hours=10), "A10")]
    assert at(filed["updated_at"]) == now - timedelta(hours=10)


def test_two_who_file_two_clocks_of_a_case_at_once_come_one_after_the_other(
    run_to_end: Run, api: Api, duties: None
) -> None:
    run = assessed(run_to_end, detected_at=written(datetime.now(UTC)))
    shown = clocks_of(api, run.id)
    barrier, codes = threading.Barrier(2), []

    def file(clock: int) -> None:
        barrier.wait()
        codes.append(api.post(f"/runs/{run.id}/clocks/{clock}/file", {"reference": "A"}).status_code)
        connections.close_all()

    threads = [threading.Thread(target=file, args=[shown[code]["id"]]) for code in ("test-72", "test-after")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [200, 200]
    assert {one["state"] for one in clocks_of(api, run.id).values()} == {"FILED"}


def test_a_new_fact_starts_clocks_moves_deadlines_and_raises_doubts_but_ends_nothing(
    run_to_end: Run, api: Api, duties: None
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    run = assessed(run_to_end)
    assert clocks_of(api, run.id)["test-72"]["provisional"]  # detected_at is not known
    where = f"/runs/{run.id}/clocks/facts"
    bad = api.post(where, {"reason": "r", "facts": {"sector": 5, "detcted_at": "x", "submitted": {}}})
    assert [one["path"] for one in bad.json()["faults"]] == ["facts.submitted"]
    bad = api.post(where, {"reason": "r", "facts": {"sector": 5, "detcted_at": "x"}})
    assert sorted(one["path"] for one in bad.json()["faults"]) == ["facts.detcted_at", "facts.sector"]

    for hostile in ("a\0b", "a" * 60, "\u2028"):
        body = {"reason": "r", "facts": {"jurisdictions": ["DE"], "organisation_facts": [hostile]}}
        assert api.post(where, body).status_code in (200, 422), hostile
    far = api.post(where, {"reason": "r", "facts": {"aware_at": "9999-12-31T23:59:59Z"}})
    assert far.status_code in (200, 422)
    bad = api.post(where, {"reason": "r", "facts": {"aware_at": None, "organisation_facts": None}})
    assert [one["path"] for one in bad.json()["faults"]] == ["facts.aware_at"]
    assert "dismiss the clock instead" in bad.json()["faults"][0]["message"]

    facts = {"detected_at": written(now - timedelta(hours=9)), "aware_at": written(now), "sector": "banking"}
    learnt = api.post(where, {"reason": "the log was read", "facts": facts}).json()["items"]
    assert [(one["obligation"], one["what"]) for one in learnt[0]["changes"]] == [
        ("test-72", "moved"), ("test-after", "moved"), ("test-bank", "started"),
    ]  # fmt: skip
    shown = clocks_of(api, run.id)
    assert at(shown["test-72"]["due_at"]) == now + timedelta(hours=63)
    assert not shown["test-72"]["provisional"]
    assert (at(shown["test-bank"]["due_at"]), shown["test-bank"]["verified"]) == (now + timedelta(hours=24), False)
    assert shown["test-72"]["history"][-1]["reason"] == "the log was read"

    learnt = api.post(where, {"reason": "it is a shop", "facts": {"sector": "retail"}}).json()["items"]
    assert [(one["obligation"], one["what"]) for one in learnt[0]["changes"]] == [("test-bank", "doubted")]
    bank = clocks_of(api, run.id)["test-bank"]
    assert (bank["state"], bank["doubt"] != "") == ("RUNNING", True)
    assert bank["doubt"] == "by what is known now, the duty does not apply"
    assert api.post(where, {"reason": "r", "facts": {"sector": "retail"}}).json()["items"] == []
    learnt = api.post(where, {"reason": "is it?", "facts": {"sector": None}}).json()["items"]
    assert [(one["obligation"], one["what"]) for one in learnt[0]["changes"]] == [("test-bank", "doubted")]
    assert clocks_of(api, run.id)["test-bank"]["doubt"] == "it is not certain that the duty applies"
    # Nothing was assessed for a clock that a test made.
    other = legal_clock()
    refused = api.post(f"/runs/{other.run_id}/clocks/facts", {"reason": "r", "facts": {}})
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing-to-assess")


def test_a_change_of_the_law_assesses_open_cases_again_and_says_which(run_to_end: Run, api: Api, duties: None) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    run = assessed(run_to_end, detected_at=written(now - timedelta(hours=9)))
    other = assessed(run_to_end, detected_at=written(now), jurisdictions=["SE"])
    clock = clocks_of(api, run.id)["test-72"]
    corrected = written(now - timedelta(hours=10))
    api.post(f"/runs/{run.id}/clocks/{clock['id']}/amend", {"reason": "r", "moments": {"detected": corrected}})
    cache.forget()
    assert follow_the_law() == ([], False)

    Obligation.objects.filter(code="test-72").update(clocks=[{"trigger": "detected", "amount": 48, "unit": "hours"}])
    duty("test-new", clocks=[{"trigger": "detected", "amount": 12, "unit": "hours"}])
    cache.forget()
    found, more = follow_the_law()
    assert ([str(one.run_id) for one in found], more) == ([str(run.id)], False)
    changes = {one["obligation"]: one["what"] for one in found[0].changes}
    assert changes == {"test-72": "moved", "test-after": "moved", "test-new": "started"}
    shown = clocks_of(api, run.id)
    # What a person corrected stays corrected.
    assert at(shown["test-72"]["due_at"]) == now + timedelta(hours=48 - 10)
    listed = api.get("/clocks/reassessments", cause="law").json()["items"]
    assert [(one["run_id"], one["by"]) for one in listed] == [(str(run.id), "erip")]
    assert clocks_of(api, other.id) == {}
    assert follow_the_law() == ([], False)

    Obligation.objects.filter(code="test-72").update(enabled=False)
    cache.forget()
    found, _ = follow_the_law()
    assert {(one["obligation"], one["what"]) for one in found[0].changes} >= {("test-72", "doubted")}
    assert clocks_of(api, run.id)["test-72"]["state"] == "RUNNING"


def test_a_law_that_asks_for_a_stage_that_has_not_happened_silences_no_clock_that_runs(
    run_to_end: Run, api: Api, duties: None
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    run = assessed(run_to_end, detected_at=written(now - timedelta(hours=9)))
    before = clocks_of(api, run.id)["test-72"]
    clocks = [{"trigger": "detected", "amount": 48, "unit": "hours", "requires": ["classified"]}]
    Obligation.objects.filter(code="test-72").update(clocks=clocks)
    cache.forget()
    found, _ = follow_the_law()
    assert ("test-72", "doubted") in {(one["obligation"], one["what"]) for one in found[0].changes}
    after = clocks_of(api, run.id)["test-72"]
    assert after["doubt"] == "by what is known now, what it counts from has not happened"
    for name in ("state", "due_at", "since", "trigger"):
        assert after[name] == before[name]
    assert LegalClock.objects.get(pk=after["id"]).next_rung_at is not None
    facts = {"classified_at": written(now)}
    api.post(f"/runs/{run.id}/clocks/facts", {"reason": "r", "facts": facts})
    after = clocks_of(api, run.id)["test-72"]
    assert (after["doubt"], at(after["due_at"])) == ("", now + timedelta(hours=39))


def test_open_and_young_cases_alone_follow_the_law(duties: None) -> None:
    cache.forget()
    follow_the_law()
    now = datetime.now(UTC)
    old, young, done = legal_clock(now), legal_clock(now), legal_clock(now)
    LegalCase.objects.exclude(pk=young.case_id).update(created_at=now - timedelta(days=31))
    LegalClock.objects.filter(pk__in=[young.pk, done.pk]).update(state=State.DISMISSED, next_rung_at=None)
    assert follow_the_law(limit=1)[1]
    follow_the_law()
    behind = LegalCase.objects.filter(law__isnull=True).values_list("pk", flat=True)
    assert list(behind) == [done.case_id]
    assert old.pk != done.pk
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute("EXPLAIN SELECT id FROM clocks_legalcase WHERE created_at > now() ORDER BY created_at LIMIT 9")
        assert "legal_case_created" in "".join(row[0] for row in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")


def test_a_condition_that_nobody_knows_starts_its_clock_and_filing_it_moves_the_stages_of_the_run(
    run_to_end: Run, api: Api, duties: None
) -> None:
    engine.publish(
        None,
        "name: open\ninput: {type: object}\nclocks:\n"
        "  - {obligation: test-72, starts: '${{ input.at }}', if: input.unknown}\n"
        "  - {obligation: test-after, starts: {paid: '${{ steps.look.output.count > 0 ? input.at : null }}'}}\n"
        "steps:\n  look: {uses: test.look_up, with: {cves: [CVE-2021-44228]}}\n",
        "yaml",
        author="test",
    )
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    run = run_to_end("open", {"at": written(began), "unknown": None})
    assert run.state == "SUCCEEDED"
    shown = clocks_of(api, run.id)
    assert at(shown["test-72"]["since"]) == began
    assert "neither true nor false" in shown["test-72"]["history"][0]["reason"]
    assert shown["test-after"]["provisional"]
    # They were started by two steps, so they are of two cases.
    assert LegalCase.objects.filter(run_id=run.id).count() == 2
    filed = api.post(f"/runs/{run.id}/clocks/{shown['test-72']['id']}/file", {"reference": "A"}).json()["filed"]
    after = clocks_of(api, run.id)["test-after"]
    assert at(after["due_at"]) == at(filed["at"]) + timedelta(hours=48)
    assert not after["provisional"]


def test_a_declared_clock_that_what_is_known_does_not_suffice_for_counts_from_the_runs_creation(
    run_to_end: Run, api: Api, duties: None
) -> None:
    clocks = [{"trigger": "detected", "amount": 24, "unit": "hours", "requires": ["classified"]}]
    duty("test-staged", clocks=clocks)
    cache.forget()
    engine.publish(
        None,
        "name: staged\ninput: {type: object}\nclocks:\n  - obligation: test-staged\n"
        "    starts: {detected: '${{ input.at }}', classified: null}\n"
        "  - {obligation: test-72, starts: {paid: '${{ input.at }}'}}\n"
        "steps:\n  look: {uses: test.look_up, with: {cves: [CVE-2021-44228]}}\n",
        "yaml",
        author="test",
    )
    detected = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    run = run_to_end("staged", {"at": written(detected)})
    shown = clocks_of(api, run.id)
    staged, other = shown["test-staged"], shown["test-72"]
    assert (staged["state"], staged["provisional"]) == ("RUNNING", True)
    assert at(staged["due_at"]) == detected + timedelta(hours=24)
    assert "(classified) is not known" in staged["history"][0]["reason"]
    assert (other["state"], other["provisional"], at(other["since"])) == ("RUNNING", True, run.created_at)


def test_a_definition_names_clocks_that_each_of_its_runs_starts(run_to_end: Run, api: Api, duties: None) -> None:
    engine.publish(None, DECLARED, "yaml", author="test")
    now = datetime.now(UTC).replace(microsecond=0)
    run = run_to_end("declared", {"aware_at": written(now)})
    assert run.state == "SUCCEEDED"
    shown = clocks_of(api, run.id, explain=1)
    assert set(shown) == {"test-72", "test-month"}
    assert at(shown["test-72"]["due_at"]) == now + timedelta(hours=72)
    assert (shown["test-72"]["provisional"], shown["test-72"]["workflow"]) == (False, "declared")
    assert shown["test-72"]["explanation"]["places"] == ["DE"]
    assert shown["test-month"]["trigger"] == "determined"

    # A moment that nobody knows, or cannot read, makes a clock that says so, and none that is lost.
    for given, said in ((None, "not known"), ("yesterday", "which is no moment")):
        run = run_to_end("declared", {} if given is None else {"aware_at": given})
        clock = clocks_of(api, run.id)["test-72"]
        assert clock["provisional"]
        assert at(clock["since"]) == run.created_at
        assert said in clock["history"][0]["reason"]


def test_a_definition_with_clocks_that_cannot_start_is_refused_with_every_fault(duties: None) -> None:
    duty("test-promptly", clocks=[])
    bad = DECLARED.replace("obligation: test-72", "obligation: test-73", 1).replace("test-month", "test-promptly")
    api = Api(key(Scope.ADMIN))
    answer = api.send("PUT", "/workflows/declared", bad.encode(), Content_Type="application/yaml")
    assert answer.status_code == 422
    faults = {one["path"]: one["message"] for one in answer.json()["faults"]}
    assert faults == {
        "clocks[0].obligation": 'there is no duty "test-73" (did you mean "test-72"?)',
        "clocks[1].obligation": "this duty has no time limit that a clock could measure",
    }


def test_each_item_of_a_fan_out_has_its_clocks(run_to_end: Run, api: Api, duties: None) -> None:
    engine.publish(
        None,
        "name: many\nsteps:\n  each:\n    foreach: '${{ input.incidents }}'\n    uses: compass.assess_compliance\n"
        "    with: '${{ item }}'\n",
        "yaml",
        author="test",
    )
    incident = {"jurisdictions": ["DE"], "sector": "retail", "detected_at": written(datetime.now(UTC))}
    run = run_to_end("many", {"incidents": [incident, incident, incident]})
    assert LegalClock.objects.filter(run_id=run.id).count() == 6
    assert sorted(LegalCase.objects.values_list("item", flat=True)) == [0, 1, 2]


def test_a_clock_is_in_the_space_of_its_workflow(run_to_end: Run, duties: None) -> None:
    run = assessed(run_to_end, detected_at=written(datetime.now(UTC)))
    for space in ("here", "there"):
        Space.objects.create(name=space)
    move("incident", "here")
    legal_clock(workflow="elsewhere")
    callers = []
    for space in ("here", "there"):
        made = keys.create(name=space, scope="")
        granting.grant("operator", f"key:{space}", space=space, by="test")
        callers.append(Api(made.token))
    here, there = callers
    shown = clocks_of(here, run.id)
    assert {one["workflow"] for one in here.get("/clocks").json()["items"]} == {"incident"}
    assert there.get("/clocks").json()["items"] == []
    assert there.get(f"/runs/{run.id}/clocks").status_code == 404
    path = f"/runs/{run.id}/clocks/{shown['test-72']['id']}/file"
    assert there.post(path, {"reference": "x"}).status_code == 404
    assert here.post(path, {"reference": "x"}).status_code == 200


def test_the_database_refuses_nonsense() -> None:
    clock = legal_clock()
    for change in ({"state": "FILED"}, {"state": "STOPPED"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            LegalClock.objects.filter(pk=clock.pk).update(**change)
    assert Reassessment.objects.count() == 0
