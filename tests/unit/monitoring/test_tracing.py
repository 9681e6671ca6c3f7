"""Spans are kept within bounds, and nobody waits for a collector that is away."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from erip.foundation.ids import new_run_id
from erip.foundation.logs import working_on
from erip.foundation.process import spans as process_spans
from erip.ops.stack.ports import any_free
from monitoring.checks import trace_settings
from monitoring.conf import conf
from monitoring.tracing import Tracing, note_statement
from monitoring.usage import SPANS
from tests.support.otlp import collector_of_opentelemetry, spans
from workflows.core.claim import Claim
from workflows.worker import traces

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _as_before(settings: Any) -> Iterator[None]:
    yield
    process_spans.use(None)
    conf.cache_clear()


def tracing(settings: Any, url: str, **options: Any) -> Tracing:
    settings.ERIP_OTLP_ENDPOINT, settings.ERIP_OTLP_TRACES = url, 1.0
    conf.cache_clear()
    return Tracing("worker", share=1.0, **options)


def counted(outcome: str) -> float:
    return SPANS.labels(outcome=outcome)._value.get()  # type: ignore[no-any-return]


def claim() -> Claim:
    return Claim(new_run_id(), "x", -1, 1, {}, 1, "w", None, "high", None, NOW, None)


def test_what_finds_no_room_is_dropped_and_counted(settings: Any) -> None:
    one = tracing(settings, f"http://127.0.0.1:{any_free()}", most=5)
    before = counted("dropped")
    for _ in range(8):
        one.run(new_run_id(), "w", "SUCCEEDED", NOW, NOW)
    assert counted("dropped") - before == 3


def test_a_dead_collector_costs_the_spans_alone_and_is_left_alone_for_a_while(settings: Any) -> None:
    one = tracing(settings, f"http://127.0.0.1:{any_free()}", most=50)
    before = counted("dropped")
    one.run(new_run_id(), "w", "SUCCEEDED", NOW, NOW)
    one.send()
    assert counted("dropped") - before == 1
    for _ in range(60):
        one.run(new_run_id(), "w", "SUCCEEDED", NOW, NOW)
    one.send()  # not asked again yet: what there is waits
    assert counted("dropped") - before == 11
    one.close()


def test_after_a_refusal_later_spans_are_sent(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitoring.tracing.PAUSE", (0.0, 0.0))
    with collector_of_opentelemetry([503, 200]) as (url, came):
        one = tracing(settings, url)
        ids = [new_run_id() for _ in range(3)]
        one.run(ids[0], "w", "SUCCEEDED", NOW, NOW)
        one.send()
        for each in ids[1:]:
            one.run(each, "w", "SUCCEEDED", NOW, NOW)
        one.send()
        one.close()
    assert [headers["path"] for headers, _ in came] == ["/otlp/v1/traces"] * 2
    assert [span["traceId"] for span in spans(came[1:])] == [each.replace("-", "") for each in ids[1:]]


def test_the_statements_of_a_traced_body_are_noted_without_their_parameters(settings: Any) -> None:
    process_spans.use(tracing(settings, "http://127.0.0.1:9"))
    lines = traces.Lines(claim())
    before = working_on.set(lines)
    try:
        assert note_statement(lambda *_: "done", "SELECT %s", ["secret"], False, {}) == "done"
        with pytest.raises(ZeroDivisionError):
            note_statement(lambda *_: 1 // 0, "SELECT 2", None, False, {})
    finally:
        working_on.reset(before)
    note_statement(lambda *_: None, "SELECT 3", None, False, {})
    assert [(one.sql, one.error) for one in lines.span.statements] == [
        ("SELECT %s", ""), ("SELECT 2", "ZeroDivisionError"),
    ]  # fmt: skip


def test_without_a_tracer_an_attempt_carries_nothing() -> None:
    assert traces.Lines(claim()).span is None


@pytest.mark.parametrize(("share", "endpoint", "expected"), [
    (0.0, "", []), (1.0, "http://c:4318", []), (0.5, "", ["monitoring.W002"]),
])  # fmt: skip
def test_traces_that_go_nowhere_are_named(settings: Any, share: float, endpoint: str, expected: list[str]) -> None:
    settings.ERIP_OTLP_TRACES, settings.ERIP_OTLP_ENDPOINT = share, endpoint
    assert [one.id for one in trace_settings()] == expected
