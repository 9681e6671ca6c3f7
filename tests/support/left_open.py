"""A test that leaves a transaction open, or a failed one, ends it here and fails, alone.

All tests of a process share Django's connection. A failed transaction that one of them began with SQL of its own
(`BEGIN`) would refuse every statement of those after it: one deadlock became a hundred failures that named anything but
its cause.
"""

from collections.abc import Generator

import pytest

#: what the driver calls a connection without a transaction (`PQTRANS_IDLE`)
IDLE = 0


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    left = end_what_is_open()  # before the teardown of any fixture: the first of them may empty tables
    yield
    if left:
        pytest.fail(f"{item.nodeid} left a transaction open on {', '.join(left)}: use transaction.atomic()")


def end_what_is_open() -> list[str]:
    """The connections of this thread on which a transaction was open that Django does not know, ended now."""
    from django.conf import settings
    from django.db import connections

    left = []
    for connection in connections.all(initialized_only=True) if settings.configured else ():
        driver = connection.connection
        # Django ends what it began (`in_atomic_block`) by itself.
        if driver is None or driver.closed or connection.in_atomic_block or not connection.autocommit:
            continue
        if driver.info.transaction_status != IDLE:
            connection.close()  # the driver, in autocommit, would not roll back what SQL began
            left.append(connection.alias)
    return left
