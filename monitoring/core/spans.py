"""What a run did as spans, in the form in which OTLP takes them.

Source: opentelemetry-proto 1.x, `ExportTraceServiceRequest`, in its JSON form: ids are hexadecimal, numbers of 64 bits
are texts. Names of attributes are those of OpenTelemetry's semantic conventions where there is one.

Note [Ids of spans]
The id of a run is its trace's. Those of its spans are made from it and from what they stand for, so each process knows
them without asking another: a worker names the run's span as the parent of its attempts, whoever will send it.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

#: SPAN_KIND_INTERNAL and SPAN_KIND_CLIENT; STATUS_CODE_ERROR
_INTERNAL, _CLIENT, _ERROR = 1, 3, 2
#: statements of one attempt that are kept, and characters of each
MOST_STATEMENTS, MOST_TEXT = 50, 1_000
#: how much of an id decides whether its run is traced: the random bits at the end of a UUIDv7
_RANDOM = 1 << 56


@dataclass(frozen=True, slots=True)
class Statement:
    """sql: without its parameters. began: in seconds since the epoch. error: the name of what it raised."""

    sql: str
    began: float
    seconds: float
    error: str = ""


@dataclass(slots=True)
class Attempt:
    """One attempt of a step of a run, and what its body asked the database. For any thread.

    attributes: what it was. ended: in seconds since the epoch. error: the code of its failure.
    """

    run_id: str
    statements: list[Statement] = field(default_factory=list)
    left_out: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)
    ended: float = 0.0
    seconds: float = 0.0
    error: str = ""

    def add(self, sql: str, began: float, seconds: float, error: str) -> None:
        if len(self.statements) < MOST_STATEMENTS:
            self.statements.append(Statement(sql[:MOST_TEXT], began, seconds, error))
        else:
            self.left_out += 1

    @property
    def weight(self) -> int:
        return 1 + len(self.statements)


@dataclass(frozen=True, slots=True)
class Run:
    run_id: str
    workflow: str
    outcome: str
    accepted: datetime
    ended: datetime
    weight: int = 1


def trace_id(run_id: str) -> str:
    return run_id.replace("-", "").lower()


def wanted(run_id: str, share: float) -> bool:
    """Whether this run is among the share of runs (0 to 1) that are traced. Every process answers the same."""
    return int(trace_id(run_id), 16) % _RANDOM < share * _RANDOM


def span_id(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]


def document(found: Iterable[Attempt | Run], *, version: str, process: Mapping[str, Any]) -> dict[str, Any]:
    """One request. process: attributes of the process that sends it."""
    spans: list[dict[str, Any]] = []
    for one in found:
        spans += [_run(one)] if isinstance(one, Run) else _attempt(one)
    resource = {"service.name": "erip", "service.version": version, **process}
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(resource)},
                "scopeSpans": [{"scope": {"name": "erip.pulse"}, "spans": spans}],
            }
        ]
    }


def _run(one: Run) -> dict[str, Any]:
    return _span(
        one.run_id,
        span_id(one.run_id),
        None,
        f"run {one.workflow}",
        _INTERNAL,
        (one.accepted.timestamp(), one.ended.timestamp()),
        {"erip.run.id": one.run_id, "erip.workflow": one.workflow, "erip.outcome": one.outcome},
        one.outcome if one.outcome in ("FAILED", "TIMED_OUT") else "",
    )


def _attempt(one: Attempt) -> Sequence[dict[str, Any]]:
    known = one.attributes
    mine = span_id(one.run_id, known.get("erip.step"), known.get("erip.item"), known.get("erip.attempt"))
    more = {"erip.statements_left_out": one.left_out} if one.left_out else {}
    name = f"step {known.get('erip.step')}"
    times = (one.ended - one.seconds, one.ended)
    found = [_span(one.run_id, mine, span_id(one.run_id), name, _INTERNAL, times, {**known, **more}, one.error)]
    for number, statement in enumerate(one.statements):
        operation = statement.sql.lstrip().split(None, 1)[0].upper()[:20] if statement.sql.strip() else "SQL"
        found.append(
            _span(
                one.run_id,
                span_id(mine, number),
                mine,
                operation,
                _CLIENT,
                (statement.began, statement.began + statement.seconds),
                {"db.system.name": "postgresql", "db.operation.name": operation, "db.query.text": statement.sql},
                statement.error,
            )
        )
    return found


def _span(
    run_id: str,
    number: str,
    parent: str | None,
    name: str,
    kind: int,
    times: tuple[float, float],
    attributes: Mapping[str, Any],
    error: str,
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "traceId": trace_id(run_id),
        "spanId": number,
        "name": name,
        "kind": kind,
        "startTimeUnixNano": _nanoseconds(times[0]),
        # By two clocks it may seem to have ended before it began.
        "endTimeUnixNano": _nanoseconds(max(times)),
        "attributes": _attributes({**attributes, **({"error.type": error} if error else {})}),
    }
    if parent is not None:
        found["parentSpanId"] = parent
    if error:
        found["status"] = {"code": _ERROR}
    return found


def _nanoseconds(seconds: float) -> str:
    return f"{max(0, round(seconds * 1_000_000))}000"


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"key": name, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": str(value)}}
        for name, value in values.items()
        if value is not None
    ]
