"""The Celery side: one thin task, and the worker's start and end."""

import logging
import os
import re
from collections.abc import Mapping
from typing import Any

import structlog
from celery import bootsteps, shared_task, signals
from django.conf import settings
from django.db import DatabaseError

from erip.foundation.db.connections import release_connections
from erip.foundation.hooks import at_worker_start, begin_process, warm_up
from erip.foundation.process import again, messages, parked
from erip.foundation.process.early_end import ends_when_told, note_when_told, tell_again
from erip.foundation.process.hinted import HintTask
from erip.foundation.process.settled import settle
from workflows.core.states import Lane
from workflows.store.chunks import token
from workflows.worker import process as worker

log = structlog.get_logger(__name__)


#: runs that one message may name, far above what is sent
MOST_RUNS = 10_000
_RUN_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _run_ids(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `execute`. Other arguments that another release may send are meant for that release."""
    run_ids = keywords.get("run_ids")
    if not isinstance(run_ids, list) or not 1 <= len(run_ids) <= MOST_RUNS:
        raise messages.Refused(f"run_ids is not a list of 1 to {MOST_RUNS} ids")
    if not all(isinstance(each, str) and _RUN_ID.fullmatch(each) for each in run_ids):
        raise messages.Refused("run_ids holds something that is no id of a run")
    return {"run_ids": run_ids}


messages.expect("workflows.execute", _run_ids)


class _Execute(HintTask):
    """Keeps incoming messages by lane, so that a thread begins with the most urgent one (see `hints`)."""

    def fetched(self, queue: str, keywords: Mapping[str, Any]) -> None:
        worker.received(queue, keywords["run_ids"])


@shared_task(name="workflows.execute", base=_Execute, ignore_result=True)
def execute(*, run_ids: list[str], **_: Any) -> None:
    """Look at these runs and do what is ready. A hint: a lost, repeated or forged one does no harm."""
    worker.current().take(run_ids)


def _chunk_ids(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `execute_chunks`, likewise."""
    chunk_ids = keywords.get("chunk_ids")
    if not isinstance(chunk_ids, list) or not 1 <= len(chunk_ids) <= MOST_RUNS:
        raise messages.Refused(f"chunk_ids is not a list of 1 to {MOST_RUNS} numbers")
    if not all(type(each) is int and 0 < each < 2**63 for each in chunk_ids):
        raise messages.Refused("chunk_ids holds something that is no number of a chunk")
    return {"chunk_ids": chunk_ids}


messages.expect("workflows.execute_chunks", _chunk_ids)


class _ExecuteChunks(HintTask):
    """The same for chunks."""

    def fetched(self, queue: str, keywords: Mapping[str, Any]) -> None:
        worker.received(queue, [token(chunk_id) for chunk_id in keywords["chunk_ids"]])


@shared_task(name="workflows.execute_chunks", base=_ExecuteChunks, ignore_result=True)
def execute_chunks(*, chunk_ids: list[int], **_: Any) -> None:
    """Look at these chunks and work through those that nobody has: a hint, as above."""
    worker.current().take([token(chunk_id) for chunk_id in chunk_ids])


@signals.celeryd_after_setup.connect
def begin(sender: str, instance: Any, **_: Any) -> None:
    """Register before the broker is reached: the worker's own look into PostgreSQL needs none."""
    pool = instance.pool_cls.__module__.rpartition(".")[2]
    if pool not in ("thread", "solo"):
        raise SystemExit(f"ERIP's workers run with --pool=threads (or solo), not with {pool}: one process, one writer.")
    queues = instance.app.amqp.queues.consume_from
    # Its handler is the one that is left after this block: at no moment there is none.
    note_when_told()
    with ends_when_told():
        parked.wait(sender)
        # These take a moment, in which a worker that is known already would keep its claims waiting, and runs that are
        # handed over to it. And what an app does at the start of a process, such as to trace what it does, comes before
        # the first step.
        begin_process("worker")
        settle()
        warm_up(at_worker_start)
    try:
        worker.begin(sender, [str(lane) for lane in Lane if lane in queues])
    except DatabaseError as error:
        # Celery swallows what a signal's receiver raises, and a worker that is not registered could claim nothing.
        raise SystemExit(f"PostgreSQL cannot be used, so this worker ends: {str(error).strip()}") from error
    finally:
        # This is the main thread, which from now on waits for messages and asks the database nothing.
        release_connections()


class Leaving(bootsteps.StartStopStep):
    """Learns that the worker is to end before Celery waits for its threads. This is not done in the signal's handler,
    which may interrupt anything."""

    def start(self, worker_: Any) -> None:
        """Celery has its handlers now: Note [Told early] in `early_end`."""
        tell_again()

    def close(self, worker_: Any) -> None:
        worker.leave(grace=settings.ERIP_SHUTDOWN_GRACE_SECONDS, give_up=_give_up)


def _give_up() -> None:
    """The grace period is over and running steps were handed back: threads that still run must not keep the process
    alive."""
    log.warning("worker_gave_up_waiting", grace=settings.ERIP_SHUTDOWN_GRACE_SECONDS)
    logging.shutdown()
    again.replace()
    os._exit(0)


@signals.worker_init.connect
def hear_of_the_end(sender: Any, **_: Any) -> None:
    sender.app.steps["worker"].add(Leaving)


@signals.worker_shutdown.connect
def end(**_: Any) -> None:
    """Celery has waited for its tasks; let the steps that they began in the background finish, and hand back the
    rest."""
    worker.end(grace=settings.ERIP_SHUTDOWN_GRACE_SECONDS)
