"""The definition and the request of docs/how-to/legal-clocks.md, as they stand there."""

import re
from datetime import UTC, datetime

import orjson
import pytest

from erip.access.scopes import Scope
from erip.ops.stack.state import ROOT
from tests.support.api import Api, key
from tests.support.clocks import legal_clock
from workflows import engine
from workflows.clocks.models import LegalClock
from workflows.library import cache
from workflows.library.models import Obligation

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = (ROOT / "docs/how-to/legal-clocks.md").read_text("utf-8")


@pytest.fixture(autouse=True)
def duty() -> None:
    Obligation.objects.create(
        code="gdpr-33",
        regime="GDPR",
        title="Notify the authority",
        authority="The authority",
        citation="Art. 33(1)",
        wording="72 hours",
        source_url="https://example.org/law",
        clocks=[{"trigger": "confirmed", "amount": 72, "unit": "hours"}],
        jurisdictions=["EU"],
        checked="official",
    )
    cache.forget()


def test_the_definition_starts_its_clock_and_waits(executor: object) -> None:
    found = re.search(r"```yaml\n(name: report-breach.*?)```", PAGE, re.DOTALL)
    assert found
    engine.publish(None, found[1], "yaml", author="test")
    aware = "2026-11-20T16:30:00Z"
    started = engine.start_runs("report-breach", [engine.StartRequest({"aware_at": aware})], principal="test")[0]
    executor.execute([started.id])  # type: ignore[attr-defined]
    clock = LegalClock.objects.get(run_id=started.id)
    assert clock.due_at == datetime(2026, 11, 23, 16, 30, tzinfo=UTC)
    assert (clock.facts["places"], clock.provisional) == (["DE"], False)


def test_the_new_fact_moves_the_clock() -> None:
    found = re.search(r"POST \S+/clocks/facts\n(\{.*?\})\n```", PAGE, re.DOTALL)
    assert found
    clock = legal_clock(datetime(2026, 11, 20, 20, tzinfo=UTC))
    clock.case.facts = {"jurisdictions": ["DE"], "detected_at": "2026-11-20T20:00:00Z"}
    clock.case.save()
    body = orjson.loads(found[1])
    answer = Api(key(Scope.OPERATOR)).post(f"/runs/{clock.run_id}/clocks/facts", body)
    assert answer.status_code == 200, answer.content
    assert [one["what"] for one in answer.json()["items"][0]["changes"]] == ["moved"]
    assert LegalClock.objects.get().due_at == datetime(2026, 11, 23, 16, 30, tzinfo=UTC)
