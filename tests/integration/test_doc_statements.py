"""The SQL of docs/explanation/database.md and docs/how-to/operations.md is executed by a real PostgreSQL."""

import pytest
from django.db import connection, transaction

from tests.unit.docs.blocks import blocks

pytestmark = pytest.mark.django_db

STATEMENTS = [block for block in blocks() if block.language == "sql"]


@pytest.mark.parametrize("block", STATEMENTS, ids=str)
def test_postgresql_accepts_the_statements(block):
    text = block.text.replace("ROLE erip", "ROLE CURRENT_USER")
    # Only a superuser may set this one; the page says so.
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = CURRENT_USER")
        if "log_min_messages" in text and not cursor.fetchone()[0]:
            cursor.execute("SELECT vartype, context FROM pg_settings WHERE name = 'log_min_messages'")
            assert cursor.fetchone() == ("enum", "superuser")
            return
        cursor.execute(text)
        transaction.set_rollback(True)


def test_there_are_statements():
    assert len(STATEMENTS) >= 2
