"""Every clock of the duties that apply starts by itself, in the transaction that records the step that found them.

So a step whose result is recorded has its clocks, and one whose result is lost with its process has none until it is
recorded. A step that is recorded twice meets the unique key.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog

from workflows.clocks.models import LegalCase, LegalClock, State
from workflows.clocks.reckoning import at_of, refresh
from workflows.core.clocks.clock import BadClock, OutOfRange
from workflows.core.clocks.versions import data_versions
from workflows.library.compass import data
from workflows.library.compass.obligations import Rule
from workflows.models import WorkflowRun
from workflows.registry import Recorded

log = structlog.get_logger(__name__)

#: what became of a duty that needs no clock any more
OVER = ("met", "late")


def start_assessed(recorded: Sequence[Recorded]) -> None:
    """The clocks of the duties that `compass.assess_compliance` found. Needs its transaction."""
    _start(recorded, _assessed)


def start_declared(recorded: Sequence[Recorded]) -> None:
    """The clocks that definitions name, by the step `clocks.start`. Needs its transaction."""
    _start(recorded, _declared)


def _start(recorded: Sequence[Recorded], clocks_of: Any) -> None:
    # In this order: duties newer than `law` are assessed once more, never too seldom.
    law = data.law()
    rules = {rule.code: rule for rule in data.rules()}
    about = {
        str(id): (workflow, key)
        for id, workflow, key in WorkflowRun.objects.filter(pk__in={one.run_id for one in recorded}).values_list(
            "id", "workflow", "business_key"
        )
    }
    cases: list[LegalCase] = []
    rows: list[LegalClock] = []
    for one in recorded:
        output = one.output if isinstance(one.output, dict) else {}
        if not output.get("clocks") or str(one.run_id) not in about:
            continue
        try:
            workflow, key = about[str(one.run_id)]
            case = LegalCase(
                id=LegalCase.id_of(str(one.run_id), one.step, one.item),
                run_id=one.run_id,
                step=one.step,
                item=one.item,
                workflow=workflow,
                business_key=key,
                facts=output["clocks"].get("given"),
                as_of=at_of(output["as_of"]),
                law=law,
            )
            rows += clocks_of(case, output, rules)
        except (AttributeError, KeyError, TypeError, ValueError):
            # An output that a person gave, or another release: the incident's answer must not be lost for it.
            log.exception("clocks_not_started", run_id=one.run_id, step=one.step)
            continue
        cases.append(case)
    if cases:
        LegalCase.objects.bulk_create(cases, ignore_conflicts=True)
        LegalClock.objects.bulk_create(rows, ignore_conflicts=True)


def _assessed(case: LegalCase, output: Mapping[str, Any], rules: Mapping[str, Rule]) -> list[LegalClock]:
    found = output["clocks"]
    return [
        new_clock(case, rules[duty["code"]], facts_of(duty["code"], found), duty)
        for duty in output["obligations"]
        # `promptly` has no time that a clock could measure.
        if duty["code"] in rules and wants_clock(rules[duty["code"]], duty)
    ]


def _declared(case: LegalCase, output: Mapping[str, Any], rules: Mapping[str, Rule]) -> list[LegalClock]:
    return [
        new_clock(case, rules[one["obligation"]], one["facts"], {}, note=one["note"])
        for one in output["clocks"]["started"]
        if one["obligation"] in rules and rules[one["obligation"]].document
    ]


def wants_clock(rule: Rule, duty: Mapping[str, Any]) -> bool:
    return bool(rule.document) and duty["applicability"] == "applies" and duty["status"] not in OVER


def facts_of(code: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """What the deadline of a duty hangs on. found: `ClockFacts`, as JSON."""
    return {
        "moments": found["moments"],
        "amended": {},
        "assumed": found["assumed"],
        "places": found["places"].get(code, []),
        "facts": found["facts"],
        "submitted": found["submitted"],
    }


def duty_of(rule: Rule) -> dict[str, Any]:
    """The copy of a duty that a clock keeps."""
    return {
        "regime": rule.regime,
        "title": rule.title,
        "authority": rule.authority,
        "wording": rule.wording,
        "citation": rule.citation,
        "source_url": rule.source_url,
        "stops": rule.stops,
        "verified": rule.verified,
        "reviewed_on": rule.reviewed_on.isoformat() if rule.reviewed_on else None,
        "clocks": list(rule.document),
    }


def new_clock(
    case: LegalCase, rule: Rule, facts: Mapping[str, Any], duty: Mapping[str, Any], *, note: str = ""
) -> LegalClock:
    """Not saved yet. duty: of the assessment, with the forecast of a stage that nothing started yet."""
    row = LegalClock(
        case_id=case.pk,
        run_id=case.run_id,
        workflow=case.workflow,
        obligation=rule.code,
        duty=duty_of(rule),
        facts=dict(facts),
        versions=data_versions(),
        state=State.WAITING,
        due_at=_moment(duty.get("deadline")),
        arguable_until=_moment(duty.get("arguable_until")),
        provisional=bool(duty.get("provisional")),
    )
    if note:
        row.history = [{"at": case.as_of.isoformat(), "by": "erip", "what": "started", "reason": note}]
    try:
        refresh(row, case.as_of)
    except (OutOfRange, BadClock) as error:
        log.warning("clock_not_reckoned", run_id=str(case.run_id), obligation=rule.code, error=error)
    row.turn = 0
    return row


def _moment(text: str | datetime | None) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else text
