"""Runs in a state that takes long to reach by working: written straight into the tables."""

from collections.abc import Sequence

import orjson
from django.db import connection

from tests.support.api import INPUT
from workflows import engine


def start(count: int, *, key: str | None = None, lane: str | None = None) -> list[str]:
    """Runs of `look-up`, which nobody works on."""
    requests = [engine.StartRequest(INPUT, key, lane)] * count
    return [run.id for run in engine.start_runs("look-up", requests, principal="test", many=True)]


def fail(run_ids: Sequence[str], code: str = "connection_refused", state: str = "FAILED") -> list[str]:
    """End them, as a step that fails for good does."""
    cause = {"code": code, "message": "it is away"}
    error = {"code": "step_failed", "step": "enrich", "message": "step enrich failed: it is away", "cause": cause}
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE workflows_steprun SET state = 'FAILED', finished_at = clock_timestamp(), error = %s "
            "WHERE run_id = ANY(%s::uuid[])",
            [orjson.dumps(cause).decode(), list(run_ids)],
        )
        cursor.execute(
            "UPDATE workflows_workflowrun SET state = %s, finished_at = clock_timestamp(), error = %s, seq = seq + 1 "
            "WHERE id = ANY(%s::uuid[])",
            [state, orjson.dumps(error).decode(), list(run_ids)],
        )
    return list(run_ids)
