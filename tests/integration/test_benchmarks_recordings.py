"""The benchmark's count of recordings: it must notice a recording that should not be there."""

import pytest
from django.db import connection

from benchmarks.recordings import Counted, counted
from tests import workers
from tests.definitions import CHAIN, publish
from workflows import engine
from workflows.models import StepRun

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_step_that_is_recorded_twice_is_counted_twice() -> None:
    publish(CHAIN)
    (run,) = engine.start_runs("chain", [engine.StartRequest({"times": 1})], principal="t")
    ready = StepRun.objects.filter(run_id=run.id)
    record = {"state": "SUCCEEDED", "finished_at": run.created_at}
    with counted(workers.environment()["DATABASE_URL"]) as recordings:
        assert recordings.count() == Counted(0, 0)
        assert ready.update(**record) == 1
        assert recordings.count().twice == 0
        assert ready.update(**record) == 1
        assert recordings.count() == Counted(2, 1)
        assert recordings.count().twice == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('benchmarks_recording')")
        assert cursor.fetchone() == (None,)
