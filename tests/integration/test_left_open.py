"""A failed transaction that a test leaves on the connection that all tests share is ended, and the test is told."""

from contextlib import suppress

import pytest
from django.db import connection, transaction
from django.db.utils import DataError

from tests.support.left_open import end_what_is_open


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("statement", ["BEGIN; SELECT 1 / 0", "BEGIN"])
def test_what_a_test_left_open_is_ended_and_named(statement: str) -> None:
    with connection.cursor() as cursor, suppress(DataError):
        cursor.execute(statement)
    assert end_what_is_open() == ["default"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert end_what_is_open() == []


@pytest.mark.django_db
def test_what_django_began_is_left_to_it() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert end_what_is_open() == []
    assert connection.in_atomic_block, "the transaction of the test itself"
    assert end_what_is_open() == []
