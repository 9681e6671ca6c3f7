"""The items of a fan-out, as the API and the admin show them."""

import pytest

from erip.access.scopes import Scope
from tests.integration.test_fan_outs import Hand, fan_out, start
from tests.support.api import Api, key
from workflows import queries
from workflows.core import machine
from workflows.store import Report

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def api() -> Api:
    return Api(key(Scope.VIEWER))


@pytest.fixture
def run_id() -> str:
    """Of ten items two are done, one has failed, two run and five wait."""
    fan_out(extra=", max_parallel: 2")
    run_id, hand = start(list("abcdefghij")), Hand()
    first, second = hand.claim(run_id)
    (third,) = hand.succeed(first).claims
    hand.succeed(second)
    fault = {"code": "broken", "message": "it is broken"}
    hand.report(Report(run_id, machine.StepFailed("each", third.attempt, fault, False, 0.0, item=third.item)))
    return run_id


def test_a_run_tells_how_many_items_are_in_which_state_and_not_the_items(api: Api, run_id: str) -> None:
    each, after = api.get(f"/runs/{run_id}").json()["steps"]
    assert (each["id"], each["status"], each["item"]) == ("each", "RUNNING", None)
    assert each["items"] == {"total": 10, "by_status": {"FAILED": 1, "PENDING": 5, "RUNNING": 2, "SUCCEEDED": 2}}
    assert after["items"] is None


def test_items_come_in_order_page_by_page(api: Api, run_id: str) -> None:
    seen, cursor = [], ""
    while cursor is not None:
        page = api.get(f"/runs/{run_id}/steps/each/items?limit=4{cursor and f'&cursor={cursor}'}").json()
        seen += page["items"]
        cursor = page["next_cursor"]
    assert [one["item"] for one in seen] == list(range(10))
    assert [one["input"]["value"] for one in seen] == list("abcdefghij")
    assert (seen[2]["status"], seen[2]["error"]["code"], seen[2]["attempt"]) == ("FAILED", "broken", 1)


def test_items_filter_by_status(api: Api, run_id: str) -> None:
    page = api.get(f"/runs/{run_id}/steps/each/items?status=FAILED").json()
    assert ([one["item"] for one in page["items"]], page["next_cursor"]) == ([2], None)


@pytest.mark.parametrize(("query", "status"), [("status=BROKEN", 400), ("cursor=x", 400), ("limit=0", 400)])
def test_what_is_asked_wrongly_is_refused(api: Api, run_id: str, query: str, status: int) -> None:
    assert api.get(f"/runs/{run_id}/steps/each/items?{query}").status_code == status


def test_a_step_that_is_no_fan_out_has_no_items_and_an_unknown_one_is_not_there(api: Api, run_id: str) -> None:
    assert api.get(f"/runs/{run_id}/steps/after/items").json() == {"items": [], "next_cursor": None}
    assert api.get(f"/runs/{run_id}/steps/nobody/items").json()["code"] == "unknown-step"


def test_events_tell_of_items_only_what_was_recorded(run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    events = queries.run_events(run_id)
    assert [(event["type"], event["item"]) for event in events if event["step"] == "each"] == [
        ("step.started", None),
        ("step.attempt_failed", 2),
    ]
    monkeypatch.setattr(queries, "MAX_ITEM_EVENTS", 0)
    assert not [event for event in queries.run_events(run_id) if event["item"] is not None]


def test_the_admin_shows_the_numbers(run_id: str, admin_client) -> None:
    page = admin_client.get(f"/admin/workflows/workflowrun/{run_id}/change/").content.decode()
    assert "10 items: 1 FAILED, 5 PENDING, 2 RUNNING, 2 SUCCEEDED" in page
