"""Decision tables: keep them, check them, ask them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from erip_client.models import (
    DecisionsWhatIf,
    DecisionTable,
    DecisionTableListed,
    Evaluated,
    Page,
    TablePublished,
    TableReport,
    TableValidated,
    TableVersion,
)
from erip_client.models.base import Json

from .base import JSON, Call, given, moment, to_json

_ONE = "/api/v1/decisions/{name}"
YAML = "application/yaml"


def list_decision_tables(*, cursor: str | None = None, limit: int | None = None) -> Call[Page[DecisionTableListed]]:
    """A page of decision tables by name, each with the version in force."""
    return Call(
        operation="listDecisionTables",
        method="GET",
        template="/api/v1/decisions",
        query=given(cursor=cursor, limit=limit),
        answers={200: Page[DecisionTableListed]},
    )


def get_decision_table(name: str) -> Call[DecisionTable]:
    """A decision table, and which versions it has."""
    return Call(
        operation="getDecisionTable", method="GET", template=_ONE, path={"name": name}, answers={200: DecisionTable}
    )


def get_decision_table_version(name: str, number: int) -> Call[TableVersion]:
    """One version of a decision table."""
    return Call(
        operation="getDecisionTableVersion",
        method="GET",
        template=f"{_ONE}/versions/{{number}}",
        path={"name": name, "number": number},
        answers={200: TableVersion},
    )


def publish_decision_table(
    name: str, table: str | bytes | Mapping[str, Json], *, media: str = YAML, decision: str | None = None
) -> Call[TablePublished]:
    """Publish a decision table: an object, or a text in `media` (YAML, `application/xml` for DMN, `text/csv`).

    decision: the one to take of a DMN file that has several.
    """
    content, media = _table(table, media)
    return Call(
        operation="publishDecisionTable",
        method="PUT",
        template=_ONE,
        path={"name": name},
        query=given(decision=decision),
        content=content,
        media=media,
        answers={200: TablePublished, 201: TablePublished},
    )


def validate_decision_table(
    name: str, table: str | bytes | Mapping[str, Json], *, media: str = YAML, decision: str | None = None
) -> Call[TableValidated]:
    """Check a decision table without publishing it."""
    content, media = _table(table, media)
    return Call(
        operation="validateDecisionTable",
        method="POST",
        template=f"{_ONE}/validate",
        path={"name": name},
        query=given(decision=decision),
        content=content,
        media=media,
        answers={200: TableValidated},
        safe=True,
    )


def analyse_decision_table(name: str, number: int) -> Call[TableReport]:
    """The gaps of a version, its clashes and the rules that never decide."""
    return Call(
        operation="analyseDecisionTable",
        method="GET",
        template=f"{_ONE}/versions/{{number}}/report",
        path={"name": name, "number": number},
        answers={200: TableReport},
    )


def evaluate_decision_table(
    name: str,
    facts: Mapping[str, Json] | None = None,
    *,
    cases: Sequence[Mapping[str, Json]] | None = None,
    version: int | None = None,
) -> Call[Evaluated]:
    """What a decision table says about one case (`facts`) or several (`cases`). Stores nothing."""
    return Call(
        operation="evaluateDecisionTable",
        method="POST",
        template=f"{_ONE}/evaluate",
        path={"name": name},
        content=to_json(given(facts=facts, cases=cases, version=version)),
        answers={200: Evaluated},
        safe=True,
    )


def what_if_decision_table(
    name: str,
    table: Mapping[str, Json] | None = None,
    *,
    version: int | None = None,
    against: str | None = None,
    since: datetime | str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Call[DecisionsWhatIf]:
    """Which runs another table, or another version, would have decided otherwise. Stores nothing.

    against: past (the default), waiting or all.
    """
    body = given(table=table, version=version, against=against, since=moment(since), limit=limit, cursor=cursor)
    return Call(
        operation="whatIfDecisionTable",
        method="POST",
        template=f"{_ONE}/what-if",
        path={"name": name},
        content=to_json(body),
        answers={200: DecisionsWhatIf},
        safe=True,
    )


def _table(table: str | bytes | Mapping[str, Json], media: str) -> tuple[bytes, str]:
    if isinstance(table, Mapping):
        return to_json(table), JSON
    return table.encode() if isinstance(table, str) else table, media
