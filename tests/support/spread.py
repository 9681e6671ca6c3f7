"""Spreading the suite over the cores: what each process of pytest-xdist has for itself, and which tests it takes.

Each has a PostgreSQL database (pytest-django makes it; locks, notifications and limits are a database's own) and a
Redis, because some tests empty the whole of it. A test itself starts all else that it needs, on ports and in folders
that no other test uses.

Loaded by `-p` in pyproject.toml: the settings read the environment before any conftest.py is loaded.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

#: folders whose tests mostly wait: for processes to start, for failovers, for deadlines
WAITING = ("e2e", "crash")

#: crash tests that share a cluster
SHARED = ("tests/crash/test_postgres_failover.py",)

_servers = ExitStack()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Iterator[None]:
    """Before pytest-django reads the settings."""
    if "PYTEST_XDIST_WORKER" in os.environ and os.environ.get("ERIP_BROKER_URL"):
        from erip.ops.stack.servers import private_servers

        _, redis = _servers.enter_context(private_servers(postgres=False))
        assert redis is not None
        os.environ["ERIP_BROKER_URL"] = redis.url
    return (yield)


def pytest_unconfigure() -> None:
    _servers.close()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that wait come before tests that compute."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    return next((place for place, folder in enumerate(WAITING) if folder in item.path.parts), len(WAITING))


class FromBothEnds(LoadFileScheduling):
    """The first process takes tests that wait, from the front; the second tests that compute, from the back; and so
    on. They meet.

    So a failover runs beside a test that computes as long as there are both, and the cores are seldom idle.
    """

    def _split_scope(self, nodeid: str) -> str:
        """Tests of one file stay together: they share fixtures. Crash tests take long, and most share nothing."""
        file = super()._split_scope(nodeid)
        return nodeid if file.startswith("tests/crash/") and file not in SHARED else file

    def _assign_work_unit(self, node: WorkerController) -> None:
        if self.nodes.index(node) % 2:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FromBothEnds | None:
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # keep the order of collection, and do not sort by the number of tests
    return FromBothEnds(config, log)
