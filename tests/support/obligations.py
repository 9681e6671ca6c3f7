"""The shipped obligations, as rules, without a database."""

from datetime import UTC, datetime

from workflows.library.compass.data import rule_of
from workflows.library.compass.obligations import Rule
from workflows.library.models import Obligation
from workflows.library.shipping import files

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def shipped() -> list[Rule]:
    return [rule_of(Obligation(**row)) for row in files.fixture("obligations")]
