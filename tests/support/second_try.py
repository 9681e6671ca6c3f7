"""Which tests are tried once more when they fail, and how many may be.

A test that computes (tests/unit) is not: it either holds or it does not. A test with servers and processes of its own
shares a machine, and a PostgreSQL, with those that run beside it and with strangers. Of ten thousand such tests one or
two fail on a busy machine, each time others, so a suite without a second try is red for reasons that say nothing of the
change. One with unlimited tries would hide races. So:

- a test outside tests/unit is tried once more, and `@pytest.mark.retry_once(reason="…")` does the same for one in it;
- no test is tried a third time, and none is tried again in a session with `--pdb`, which stops where it failed;
- each second try is in the report, as `RERUN`, with what failed: it is a race to be found, if only tomorrow;
- more than `MOST` of them in a session, and the session fails: that is no bad luck.
"""

import pytest
from _pytest.terminal import TerminalReporter

#: second tries in one session, of all its processes, that are still bad luck
MOST = 5

#: the reason of tests outside tests/unit
SHARED = "its servers and processes share a machine with the tests beside it"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "retry_once(reason): tried once more when it fails, for this reason")
    if config.getoption("reruns", None) or config.getoption("force_reruns", None):
        raise pytest.UsageError("--reruns hides races: mark the test retry_once, with a reason")
    # The process that reports counts, not those that it hands tests to.
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(SecondTries(config), "second-tries")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    without = []
    for item in items:
        if item.get_closest_marker("flaky"):
            without.append(f"{item.nodeid}: use retry_once(reason=…), not flaky")
        if mark := item.get_closest_marker("retry_once"):
            if not str(mark.kwargs.get("reason", "")).strip() or mark.args:
                without.append(f"{item.nodeid}: retry_once has no reason")
        elif not _shares(config, item):
            continue
        else:
            item.add_marker(pytest.mark.retry_once(reason=SHARED))
        # pytest-rerunfailures refuses a session that has both, and whoever debugs a test wants its first failure.
        if not config.option.usepdb:
            item.add_marker(pytest.mark.flaky(reruns=1))
    if without:
        raise pytest.UsageError("\n".join(without))


def _shares(config: pytest.Config, item: pytest.Item) -> bool:
    """Whether servers and processes belong to the test: it stands in a folder of tests/ that is not `unit`."""
    parts = item.path.relative_to(config.rootpath).parts if item.path.is_relative_to(config.rootpath) else ()
    return len(parts) > 2 and parts[0] == "tests" and parts[1] != "unit"


class SecondTries:
    """Counts the second tries of a session, shows them, and fails the session that had too many."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        #: one for each phase that failed: of a first try, both the call and the teardown may
        self._failed_first: list[pytest.TestReport] = []

    @property
    def _count(self) -> int:
        """Tests that were tried again, however many of their phases failed."""
        return len({(report.nodeid, getattr(report, "rerun", 0)) for report in self._failed_first})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome == "rerun":  # type: ignore[comparison-overlap]  # pytest-rerunfailures adds this outcome
            self._failed_first.append(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._count > MOST and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        if not self._failed_first:
            return
        terminalreporter.section("tried once more: each is a race to be found")
        for report in self._failed_first:
            terminalreporter.write_sep("_", f"RERUN {report.nodeid} ({report.when})")
            terminalreporter.write_line(report.longreprtext)
        if (count := self._count) > MOST:
            terminalreporter.write_line(f"FAILED: {count} second tries in one session; {MOST} at most are bad luck.")
