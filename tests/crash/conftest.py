"""Counts every recording of a step's result in the database itself: no code of ours can forget one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings
from django.db import connection

from erip.ops.stack.servers import Server, private_servers


@pytest.fixture
def recordings(transactional_db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("""
            DROP TABLE IF EXISTS test_recordings;
            CREATE TABLE test_recordings (run_id uuid, step text, item int, attempt int);
            CREATE OR REPLACE FUNCTION test_record() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO test_recordings VALUES (NEW.run_id, NEW.step, NEW.item, NEW.attempt);
                RETURN NULL;
            END $$;
            CREATE OR REPLACE TRIGGER test_record AFTER INSERT OR UPDATE ON workflows_steprun FOR EACH ROW
            WHEN (NEW.state = 'SUCCEEDED') EXECUTE FUNCTION test_record();
        """)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER IF EXISTS test_record ON workflows_steprun; DROP TABLE test_recordings")


@pytest.fixture
def broker() -> redis.Redis:
    client = redis.Redis.from_url(settings.ERIP_BROKER_URL)
    client.flushall()
    return client


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "processes.log"


@pytest.fixture
def own_broker(settings: object) -> Iterator[Server]:
    """A Redis that a test may kill."""
    with private_servers(postgres=False) as (_, redis):
        assert redis is not None
        settings.ERIP_BROKER_URL = redis.url  # the environment that tests.workers gives to the processes it starts
        yield redis
