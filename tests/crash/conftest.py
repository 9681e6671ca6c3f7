"""What tests with real workers and real signals need."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings

from erip.ops.stack.servers import Server, private_servers
from tests.support.recordings import begin_counting, end_counting


@pytest.fixture
def recordings(transactional_db: None) -> Iterator[None]:
    begin_counting()
    yield
    end_counting()


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
