"""`@pytest.mark.retry_once(reason="…")`: such a test is tried once more when it fails. No other test is.

A test that needs luck hides a race, so the reason has to say what is outside our hands. The report lists each second
try (`RERUN`). A second try that is configured without a reason ends the session before the first test.
"""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "retry_once(reason): tried once more when it fails, for this reason")
    if config.getoption("reruns", None) or config.getoption("force_reruns", None):
        raise pytest.UsageError("--reruns hides races: mark the test retry_once, with a reason")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    without = []
    for item in items:
        if item.get_closest_marker("flaky"):
            without.append(f"{item.nodeid}: use retry_once(reason=…), not flaky")
        if mark := item.get_closest_marker("retry_once"):
            if not str(mark.kwargs.get("reason", "")).strip() or mark.args:
                without.append(f"{item.nodeid}: retry_once has no reason")
            item.add_marker(pytest.mark.flaky(reruns=1))
    if without:
        raise pytest.UsageError("\n".join(without))
