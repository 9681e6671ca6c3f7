"""An executor in the test's own process, on the real database: a worker without Celery around it."""

from collections.abc import Callable, Iterator

import pytest
from django.db import connections

from workflows import engine, store
from workflows.conf import conf
from workflows.core.states import Lane
from workflows.events import ingest
from workflows.events.conf import conf as events_conf
from workflows.models import WorkflowRun
from workflows.starts import admission
from workflows.worker.executor import Executor

LANES = [str(lane) for lane in Lane]


@pytest.fixture
def executor(transactional_db: None) -> Iterator[Executor]:
    made = Executor(store.register_worker("test", "here", 1, LANES), LANES, threads=4)
    yield made
    made.stop(grace=5)
    connections.close_all()


@pytest.fixture
def run_to_end(executor: Executor) -> Callable[..., WorkflowRun]:
    """Start a run and do what workers and leader do until it has ended or waits for a person."""
    from tests.workers import until

    def run(workflow: str, input: object = None, **options: object) -> WorkflowRun:
        request = engine.StartRequest(input if input is not None else {}, **options)  # type: ignore[arg-type]
        started = engine.start_runs(workflow, [request], principal="test")[0]

        def settled() -> bool:
            engine.release_due(LANES, limit=9)
            executor.execute([started.id])
            row = WorkflowRun.objects.get(pk=started.id)
            busy = row.steps.filter(state__in=["READY", "RUNNING", "WAITING"]).exists()
            return not busy

        until(settled, what=f"run of {workflow} settled")
        return WorkflowRun.objects.get(pk=started.id)

    return run


@pytest.fixture
def lane_settings(settings: object) -> Iterator[Callable[..., None]]:
    """Set settings of the lanes, and clear what the engine and the admission have cached of the former ones."""

    def change(**values: object) -> None:
        for name, value in values.items():
            setattr(settings, name, value)
        conf.cache_clear()
        admission.forget()

    yield change
    conf.cache_clear()
    admission.forget()


@pytest.fixture
def event_settings(settings: object) -> Iterator[Callable[..., None]]:
    """Set settings of the event bus."""

    def change(**values: object) -> None:
        for name, value in values.items():
            setattr(settings, name, value)
        events_conf.cache_clear()
        ingest.forget()

    yield change
    events_conf.cache_clear()
    ingest.forget()
