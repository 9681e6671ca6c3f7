"""The counts above the list of runs: of the newest exactly, and of all as PostgreSQL estimates them."""

import pytest
from django.db import connection

from tests.definitions import one_step, publish
from workflows import engine
from workflows.admin import counts
from workflows.models import ArchivedRun, WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)


def test_all_runs_are_estimated_from_what_analyze_left() -> None:
    publish(one_step("sample.echo", "{value: 1}"))
    engine.start_runs("one", [engine.StartRequest({})] * 1_234, principal="t")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE workflows_workflowrun")
    found = counts.estimated(WorkflowRun)
    assert found is not None
    assert (found["counts"], found["total"]) == ([("PENDING", 1_200)], 1_200)
    assert found["at"] is not None
    assert counts.by_state(WorkflowRun)["whole"] is False


def test_what_was_never_analysed_is_not_estimated() -> None:
    assert counts.estimated(ArchivedRun) is None
