"""What a scope has written or seen goes on with the tasks that it sends."""

from types import SimpleNamespace

import pytest
from celery.app.task import Context

from erip.foundation.db import consistency
from erip.foundation.db.consistency import PRIMARY
from erip.foundation.db.propagation import KEY, begin, end, send_along


@pytest.fixture(autouse=True)
def with_replicas(settings: object) -> None:
    settings.ERIP_REPLICAS = ["replica1"]


def sent() -> dict[str, str]:
    headers: dict[str, str] = {}
    send_along(headers=headers)
    return headers


def token_in_the_task(headers: dict[str, object]) -> str | None:
    task = SimpleNamespace(request=Context(headers))
    begin(task=task)
    try:
        scope = consistency.current()
        assert scope is not None
        return scope.token
    finally:
        end(task=task)
        assert consistency.current() is None


def test_a_task_of_a_scope_that_only_read_has_seen_what_that_has() -> None:
    with consistency.scope("0/16B3748"):
        headers = sent()
    assert token_in_the_task(headers) == "0/16B3748"


def test_a_task_of_a_scope_that_wrote_reads_from_the_primary() -> None:
    with consistency.scope("0/16B3748"):
        consistency.wrote()
        headers = sent()
    assert token_in_the_task(headers) == PRIMARY


def test_a_task_that_nobody_vouches_for_has_no_token_and_so_reads_from_the_primary() -> None:
    assert sent() == {}
    assert token_in_the_task({}) is None


def test_a_forged_header_is_no_token() -> None:
    assert token_in_the_task({KEY: {"a": 1}}) is None
    assert token_in_the_task({KEY: "0/0'; DROP TABLE"}) is None
