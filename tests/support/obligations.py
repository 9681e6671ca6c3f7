"""The shipped obligations, as rules, without a database."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from workflows.library.compass.data import rule_of
from workflows.library.compass.obligations import Rule
from workflows.library.models import Obligation

FILE = Path(__file__).resolve().parents[2] / "workflows/library/fixtures/obligations.yaml"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def shipped() -> list[Rule]:
    rows: list[dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return [rule_of(Obligation(**row)) for row in rows]
