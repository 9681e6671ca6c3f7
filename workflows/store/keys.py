"""Idempotency keys, and what they led to: a run, or an answer.

A key is written in the transaction that does what was asked for. So the key exists exactly if the work was done. A
second request under the same key waits at the primary key until the first has committed or failed.
"""

from dataclasses import dataclass

from django.db import OperationalError, connection

from erip.foundation.db.failures import sqlstate
from workflows.errors import RequestUnderWay

_LOCK_NOT_AVAILABLE = "55P03"


@dataclass(frozen=True, slots=True)
class StartKey:
    """The idempotency key of a request. request_hash: distinguishes it from other requests under the same key."""

    principal: str
    key: str
    request_hash: str


def run_of_key(principal: str, key: str) -> tuple[str, str] | None:
    """(run id, request hash) of what was done under this key. The id is "" if it was not the start of one run."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT run_id, request_hash FROM workflows_idempotencykey WHERE principal = %s AND key = %s",
            [principal, key],
        )
        row = cursor.fetchone()
    return (str(row[0] or ""), row[1]) if row else None


def take_key(key: StartKey) -> bool:
    """Take the key for the current transaction, which must then call `keep_answer`. False if it was taken before.

    Waits for another transaction that has taken it. Raises RequestUnderWay if that takes too long.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO workflows_idempotencykey (principal, key, request_hash, answer) VALUES (%s, %s, %s, '') "
                "ON CONFLICT (principal, key) DO NOTHING",
                [key.principal, key.key, key.request_hash],
            )
            return bool(cursor.rowcount == 1)
    except OperationalError as error:
        if sqlstate(error) == _LOCK_NOT_AVAILABLE:
            raise RequestUnderWay from error
        raise


def keep_answer(key: StartKey, answer: str) -> None:
    """Keep the answer that requests under this key get from now on. Needs the transaction that took the key."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE workflows_idempotencykey SET answer = %s WHERE principal = %s AND key = %s",
            [answer, key.principal, key.key],
        )


def answer_of_key(principal: str, key: str) -> tuple[str, str] | None:
    """(request hash, answer) of what was done under this key. The answer is "" if it was the start of one run."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT request_hash, coalesce(answer, '') FROM workflows_idempotencykey WHERE principal = %s AND key = %s",
            [principal, key],
        )
        row = cursor.fetchone()
    return (row[0], row[1]) if row else None


def forget_idempotency_keys(*, older_than_days: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM workflows_idempotencykey WHERE created_at < now() - make_interval(days => %s)",
            [older_than_days],
        )
        count: int = cursor.rowcount
        return count
