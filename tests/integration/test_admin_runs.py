"""A run explains itself in the admin: why it failed, what it logged, when what happened, what belongs to it."""

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from tests.definitions import one_step, publish
from tests.integration.test_bad_rows import spoil
from workflows import engine, queries, store
from workflows.core import machine
from workflows.models import RunEvent, StepRun, WorkflowRun
from workflows.store import Report

pytestmark = pytest.mark.django_db(transaction=True)
BACKEND = "django.contrib.auth.backends.ModelBackend"
HOSTILE = "<script>alert(1)</script>\u202e'\"><img src=x onerror=alert(1)>"


def staff(name: str = "root", *permissions: str, superuser: bool = False) -> Client:
    made = Client()
    user = User.objects.create_user(name, password="a-long-password", is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    made.force_login(user, backend=BACKEND)
    return made


@pytest.fixture
def client(transactional_db: None) -> Client:
    return staff(superuser=True)


def page(run: Any, name: str = "change", *more: str) -> str:
    return reverse(f"admin:workflows_workflowrun_{name}", args=[run, *more])


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.status_code
    return unescape(answer.content.decode())


def unknown(uses: str = "sample.block_once") -> str:
    """A run that waits for a person."""
    publish(one_step(uses))
    run_id = engine.start_runs("one", [engine.StartRequest({})], principal="t")[0].id
    worker = store.register_worker("w", "h", 1, ["standard"])
    (claim,) = store.claim([run_id], worker_id=worker, lanes=["standard"])
    engine.report([Report(run_id, machine.StepLost("only", claim.attempt, 5))])
    return run_id


# --- why it failed ---


def test_the_error_is_on_top_whole_with_its_traceback_and_its_lines(client, run_to_end) -> None:
    publish(one_step("sample.grumble", "{value: 7}"))
    run = run_to_end("one")

    shown = text(client, page(run.pk))

    order = ["step_raised", "the service is away", "Traceback", "in grumble", "about to fail value=7", "Timeline"]
    places = [shown.index(part) for part in order]
    assert places == sorted(places)
    assert 'class="erip-bar-danger"' in shown
    assert "<script>" not in shown.replace("<script src", ""), "nothing inline"


@pytest.mark.parametrize("field", ["error", "output", "input", "business_key"])
def test_whatever_a_row_holds_is_text(client, run_to_end, field) -> None:
    publish(one_step("sample.grumble"))
    run = run_to_end("one")
    odd: dict[str, Any] = {
        "error": {"code": HOSTILE, "step": HOSTILE, "message": HOSTILE, "cause": {"code": 7, "message": [HOSTILE]}},
        "output": {HOSTILE: [HOSTILE]},
        "input": [HOSTILE],
        "business_key": HOSTILE,
    }
    WorkflowRun.objects.filter(pk=run.pk).update(**{field: odd[field]})
    trace = {"traceback": HOSTILE, "lines": [HOSTILE, 7]}
    RunEvent.objects.filter(run=run).update(detail={"trace": trace, "error": [HOSTILE]})
    StepRun.objects.filter(run=run).update(error={"code": {HOSTILE: 1}, "message": None})

    for address in (page(run.pk), reverse("admin:workflows_workflowrun_changelist"), reverse("admin:index")):
        shown = client.get(address).content.decode()
        assert "<script>alert" not in shown
        assert "<img src=x" not in shown


@pytest.mark.parametrize("detail", [[], "text", {"trace": "x"}, {"trace": {"lines": 7, "left_out": "x"}, "error": 1}])
def test_an_event_of_any_shape_is_shown(client, run_to_end, detail) -> None:
    publish(one_step("sample.grumble"))
    run = run_to_end("one")
    RunEvent.objects.filter(run=run).update(detail=detail)

    assert "only, attempt 1" in text(client, page(run.pk))


def test_a_run_whose_definition_cannot_be_read_is_named_and_still_shows_what_it_can(client, run_to_end) -> None:
    publish(one_step("sample.grumble"))
    run = run_to_end("one")
    spoil("workflows_workflowversion", "source", "name: one\nsteps: 7\n", "true")

    shown = text(client, page(run.pk))

    assert "This release cannot read the definition of this run" in shown
    assert "the service is away" in shown
    assert "step.attempt_failed" in shown
    for name in ("items", "resolve"):
        assert client.get(page(run.pk, name, "only")).headers["Location"] == page(run.pk)


def test_a_run_that_goes_well_says_so_in_its_timeline(client, run_to_end) -> None:
    publish(one_step("sample.echo", "{value: hello}"))
    run = run_to_end("one")
    shown = text(client, page(run.pk))

    assert 'class="erip-bar-success"' in shown
    assert "erip-alarm" not in shown
    assert "hello" in shown


def test_a_runs_page_takes_the_same_statements_whatever_the_number_of_attempts_and_steps(
    client, run_to_end, django_assert_max_num_queries
) -> None:
    steps = "".join(f"  s{n}: {{uses: sample.echo, with: {{value: {n}}}}}\n" for n in range(12))
    publish(f"name: wide\nsteps:\n{steps}")
    publish(one_step("sample.flaky", "{times: 9}"))
    wide, narrow = run_to_end("wide"), run_to_end("one")

    for run in (wide, narrow):
        client.get(page(run.pk))  # compiled graphs, content types
        with django_assert_max_num_queries(17):
            assert client.get(page(run.pk)).status_code == 200


# --- fan-outs ---


def test_the_items_of_a_fan_out_have_pages_by_state(client, run_to_end) -> None:
    publish(
        "name: fan\nsteps:\n  each: {uses: sample.grumble_at, foreach: '${{ input.n }}', "
        "with: {value: '${{ item }}'}, tolerated_failures: 100}\n"
    )
    run = run_to_end("fan", {"n": list(range(120))})

    assert f"{page(run.pk, 'items', 'each')}" in text(client, page(run.pk))
    first = text(client, page(run.pk, "items", "each"))
    assert "each[49]" in first
    assert "each[50]" not in first
    after = re.search(r'href="([^"]*)" rel="next"', first)
    assert after is not None
    assert "each[50]" in text(client, after[1])
    failed = text(client, page(run.pk, "items", "each") + "?state=FAILED")
    assert "each[7]" in failed
    assert "each[8]" not in failed
    assert "item 7 is odd" in failed


@pytest.mark.parametrize("query", ["?state=nonsense", "?after=x", "?after=99999999999999", "?state=%00", "?after=-1"])
def test_an_address_of_items_that_says_nonsense_shows_the_first_page(client, run_to_end, query) -> None:
    publish("name: fan\nsteps:\n  each: {uses: sample.echo, foreach: [1, 2], with: {value: 1}}\n")
    run = run_to_end("fan")

    assert "each[0]" in text(client, page(run.pk, "items", "each") + query)


@pytest.mark.parametrize("name", ["items", "resolve"])
@pytest.mark.parametrize("run", ["nonsense", "00000000-0000-0000-0000-000000000000", "\u0000"])
def test_a_page_of_a_run_that_is_not_there(client, name, run) -> None:
    assert client.get(page(run, name, "only")).status_code == 404


def test_a_page_of_a_step_that_is_not_there(client, run_to_end) -> None:
    publish(one_step("sample.echo"))
    run = run_to_end("one")
    for name in ("items", "resolve"):
        assert client.get(page(run.pk, name, HOSTILE.replace("/", "_"))).status_code == 404


# --- resolve ---


def test_resolve_refuses_a_wrong_output_and_shows_each_fault(client) -> None:
    run = unknown()
    assert page(run, "resolve", "only") in text(client, page(run))
    wrong = '{"attempt": "many", "nonsense": 1, "key": 7}'

    answer = client.post(page(run, "resolve", "only"), {"outcome": "succeeded", "output": wrong})

    shown = unescape(answer.content.decode())
    assert answer.status_code == 200
    for path in ("output.attempt", "output.key", "output.nonsense"):
        assert f"{path}:" in shown
    assert wrong in shown, "what was typed is still there"
    assert StepRun.objects.get(run_id=run).state == "UNKNOWN"


@pytest.mark.parametrize("output", ["{", "nonsense", '{"value": "\\u0000"}', "[1]", '{"value": 1e999}', "7", "null x"])
def test_resolve_refuses_what_is_no_output(client, output) -> None:
    run = unknown()
    answer = client.post(page(run, "resolve", "only"), {"outcome": "succeeded", "output": output})

    assert answer.status_code == 200
    assert answer.context["form"].errors["output"]
    assert StepRun.objects.get(run_id=run).state == "UNKNOWN"


@pytest.mark.parametrize("body", [{}, {"outcome": "perhaps"}, {"outcome": "failed", "note": "x" * 1001}])
def test_resolve_refuses_a_form_that_says_no_outcome(client, body) -> None:
    run = unknown()
    assert client.post(page(run, "resolve", "only"), body).status_code == 200
    assert StepRun.objects.get(run_id=run).state == "UNKNOWN"


def test_resolve_records_the_output_and_who_gave_it(client) -> None:
    run = unknown()
    values = {"outcome": "succeeded", "output": '{"value": "by hand"}', "note": "I looked"}

    answer = client.post(page(run, "resolve", "only"), values)

    assert answer.headers["Location"] == page(run)
    detail = queries.run_detail(run)
    assert (detail["status"], detail["output"]) == ("SUCCEEDED", {"value": "by hand", "key": "", "attempt": 0})
    event = RunEvent.objects.get(run_id=run, type="step.resolved")
    assert event.detail == {"by": "user:root", "outcome": "succeeded", "note": "I looked"}
    again = client.get(page(run, "resolve", "only"))
    assert again.headers["Location"] == page(run), "there is nothing to resolve any more"


def test_an_item_is_resolved_on_a_form_of_its_own(client) -> None:
    publish("name: fan\nsteps:\n  each: {uses: sample.block_once, foreach: [1, 2], with: {seconds: 0}}\n")
    run = engine.start_runs("fan", [engine.StartRequest({})], principal="t")[0].id
    worker = store.register_worker("w", "h", 1, ["standard"])
    claims = store.claim([run], worker_id=worker, lanes=["standard"])
    engine.report([Report(run, machine.StepLost("each", claims[1].attempt, 5, claims[1].item))])

    items = text(client, page(run, "items", "each") + "?state=UNKNOWN")
    form = page(run, "resolve", "each") + f"?item={claims[1].item}"
    assert form in items
    assert client.post(form, {"outcome": "failed", "note": "no trace of it"}).headers["Location"] == page(run)
    assert StepRun.objects.get(run_id=run, item=claims[1].item).state == "FAILED"
    assert client.get(page(run, "resolve", "each") + "?item=99").status_code == 404
    assert client.get(page(run, "resolve", "each") + "?item=x").status_code == 404


def test_who_may_only_look_sees_no_form_and_whoever_may_not_look_sees_nothing(client) -> None:
    run = unknown()
    reader, nobody = staff("reader", "view_workflowrun"), staff("nobody")

    assert page(run, "resolve", "only") not in text(reader, page(run))
    assert reader.get(page(run, "items", "only")).status_code == 200
    for address in (page(run, "resolve", "only"), page(run, "resolve", "only") + "?item=0"):
        assert reader.get(address).status_code == 403
        assert reader.post(address, {"outcome": "failed"}).status_code == 403
    for name in ("items", "resolve"):
        assert nobody.get(page(run, name, "only")).status_code == 403
    assert nobody.get(page(run)).status_code == 403
    assert StepRun.objects.get(run_id=run).state == "UNKNOWN"


# --- the list ---


def test_the_list_says_why_finds_by_a_part_of_a_key_and_counts_by_state(client, run_to_end) -> None:
    publish(one_step("sample.grumble"))
    failed = run_to_end("one", business_key="INC-2026-0017")
    publish(one_step("sample.echo"))
    run_to_end("one", business_key="INC-2026-0018")
    listed = reverse("admin:workflows_workflowrun_changelist")

    shown = text(client, listed)
    assert "only · step_raised: the service is away" in shown
    assert re.search(r"All 2\s+runs", shown)
    assert re.search(r"1 FAILED", shown)
    assert str(failed.pk) in text(client, f"{listed}?q=INC-2026")
    assert str(failed.pk) in text(client, f"{listed}?q=INC-2026-0017")
    assert str(failed.pk) in text(client, f"{listed}?q=0017")
    for odd in ("%25", "_", "\\", "INC-2026-0018", "inc-2026", "0017x"):
        assert str(failed.pk) not in text(client, f"{listed}?q={odd}")
    assert str(failed.pk) in text(client, f"{listed}?state__exact=FAILED")
    assert str(failed.pk) not in text(client, f"{listed}?state__exact=SUCCEEDED")
