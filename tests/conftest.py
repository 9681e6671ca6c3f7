"""Fixtures that all tests share. Tests outside tests/unit need real servers: `make test` starts and names them."""

import os
import sys
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

# On a machine that others also use, the time that an example takes means nothing.
settings.register_profile("erip", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("erip")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests outside tests/unit need servers. This check says so before the first of them fails."""
    missing = [name for name in ("DATABASE_URL", "ERIP_BROKER_URL") if not os.environ.get(name)]
    if missing and any("unit" not in item.path.parts for item in items):
        pytest.exit(f"{' and '.join(missing)} not set: run `make test`, which starts private servers", returncode=4)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Hostile text that a test logged must not break the report: it travels between processes as UTF-8."""
    report = yield
    report.sections = [(title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections]
    return report


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    from tests.support.postgresql.base import keep_content_types_and_permissions

    keep_content_types_and_permissions()


@pytest.fixture(autouse=True)
def no_ingest_writer() -> Iterator[None]:
    """The ingest writer keeps a connection to the test's database, which must be gone when that is dropped."""
    yield
    ingest = sys.modules.get("workflows.events.ingest")
    if ingest is not None:
        ingest.stop()


@pytest.fixture(autouse=True)
def no_listener() -> Iterator[None]:
    """The process's LISTEN connection stays open for a while; the test's database must be free of it."""
    yield
    listening = sys.modules.get("erip.foundation.process.listener")
    if listening is not None:
        listening.listener.stop()


@pytest.fixture(autouse=True)
def nobody_watches() -> Iterator[None]:
    """Whoever asks for the health looks at the servers for a while, on connections of its own."""
    yield
    watching = sys.modules.get("monitoring.watching")
    if watching is not None:
        watching.watching.stop()


@pytest.fixture(autouse=True)
def nobody_listens() -> Iterator[None]:
    """In the test's own process no lifecycle events are wanted, until a test says so (`interest.refresh`)."""
    from workflows.events import interest
    from workflows.store import outbox

    # An earlier test may have wanted events, and so may have started a thread that refreshes the interest by itself.
    interest.stop()
    outbox.set_interest(outbox.Interest())
    yield
    outbox.set_interest(outbox.Interest())


@pytest.fixture
def no_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many runs start together, each is accepted alone, with rows of its steps."""
    from workflows.starts import chunks

    monkeypatch.setattr(chunks, "FEWEST", sys.maxsize)


@pytest.fixture(autouse=True)
def nothing_is_known_of_an_earlier_test() -> None:
    """A process remembers its settings, and for a second at most what it read from tables: the rules in force, the
    load of its lanes. The database of the next test is another one. A fixture that changes settings cannot always
    forget them last: another one may read them once more before they are restored."""
    for name in ("workflows.conf", "workflows.events.conf"):
        if (module := sys.modules.get(name)) is not None:
            module.conf.cache_clear()
    for name in (
        "erip.access.flags.asking",
        "erip.access.origins",
        # Strangers of earlier tests fill what a minute tells apart.
        "erip.audit.refusals",
        "workflows.events.active",
        "workflows.events.types",
        "workflows.library.cache",
        "workflows.starts.admission",
        "workflows.starts.chunks",
        "workflows.starts.holds",
        "workflows.starts.versions",
    ):
        if (module := sys.modules.get(name)) is not None:
            module.forget()
    asgi = sys.modules.get("erip.asgi")
    if asgi is not None:
        # Wrong keys of an earlier test came from the same address.
        asgi.guessing.forget()
