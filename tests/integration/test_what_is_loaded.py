"""What processes of the platform have loaded once they have done their work: `tests.support.loaded`."""

from pathlib import Path

import pytest

from tests.definitions import one_step, publish
from tests.support.loaded import LISTED, NOT_LOADED, listed, loaded_for_nothing
from tests.support.web import status, web
from tests.workers import leader, until, worker
from workflows import engine
from workflows.models import Leader, WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)


def test_processes_that_did_their_work_have_loaded_nothing_that_others_need(tmp_path: Path) -> None:
    publish(one_step("sample.echo", "{value: 1}"))
    logs = {role: tmp_path / role for role in NOT_LOADED}

    with (
        worker(logs["worker"], threads=2, **LISTED),
        leader(logs["leader"], **LISTED) as leads,
        web(logs["web"], **LISTED) as served,
    ):
        run = engine.start_runs("one", [engine.StartRequest({})], principal="test")[0]
        until(lambda: WorkflowRun.objects.get(pk=run.id).finished_at, what="the run ended")
        until(lambda: Leader.objects.filter(pid=leads.pid).exists(), what="the leader leads")
        assert status(f"{served.url}/api/v1/workflows") == 401

    loaded = {role: listed(log) for role, log in logs.items()}
    assert all("django.db.models" in modules for modules in loaded.values())
    assert {role: loaded_for_nothing(role, modules) for role, modules in loaded.items()} == {
        role: set() for role in NOT_LOADED
    }
