"""The workflows that are run: how each is started, and what a right result of it is."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from workflows import library

from .records import RunRecord

SAMPLE = Path(library.__file__).parent / "samples" / "incident.json"
DEFINITIONS = Path(library.__file__).parent / "definitions"
#: with a seed, runs with the same input must produce the same loss to the last digit
SEED = 20260101


@dataclass(frozen=True)
class Workload:
    """One workflow under load."""

    workflow: str
    #: every step that must be recorded once
    steps: tuple[str, ...]
    #: steps that may be SKIPPED
    optional: frozenset[str]
    #: the input of the run with this number
    input: Callable[[int], dict[str, Any]]
    #: what is wrong with the outputs of one run; empty: nothing
    faults: Callable[[RunRecord], list[str]]
    #: what must be the same in all runs of the load, because their inputs are
    constant: Callable[[RunRecord], Any] = lambda _: None
    #: the definition to publish first; None for a reference workflow, which is there already
    definition: dict[str, Any] | None = None


# --- four trivial steps in a row --------------------------------------------------------------------------

CHAIN = ("one", "two", "three", "four")


def _chain(name: str, uses: str, **extra: Any) -> dict[str, Any]:
    steps: dict[str, Any] = {}
    for before, step in zip((None, *CHAIN), CHAIN, strict=False):
        value = f"${{{{ steps.{before}.output.value }}}}" if before else "${{ input.value }}"
        steps[step] = {"uses": uses, "with": {"value": value, **extra}} | ({"needs": [before]} if before else {})
    schema = {"type": "object", "required": ["value"], "properties": {"value": {"type": "integer"}}}
    return {
        "name": name,
        "lane": "standard",
        "input": schema,
        "steps": steps,
        "output": "${{ steps.four.output.value }}",
    }


def _chain_faults(run: RunRecord) -> list[str]:
    start = run.input["value"]
    faults = [] if run.output == start + 4 else [f"output is {run.output!r}, not {start + 4}"]
    outputs = {step.step: step.output for step in run.steps}
    for place, step in enumerate(CHAIN, start=1):
        if outputs.get(step) != {"value": start + place}:
            faults.append(f"step {step} gave {outputs.get(step)!r}, not {start + place}")
    return faults


def _numbered(number: int) -> dict[str, Any]:
    return {"value": number}


W4 = Workload(
    "benchmark-w4",
    CHAIN,
    frozenset(),
    _numbered,
    _chain_faults,
    definition=_chain("benchmark-w4", "benchmarks.add"),
)
WAITS = Workload(
    "benchmark-waits",
    CHAIN,
    frozenset(),
    _numbered,
    _chain_faults,
    definition=_chain("benchmark-waits", "benchmarks.wait", seconds=0.1),
)

#: W4 again, started by one kind of event
EVENT = Workload(
    "benchmark-event",
    CHAIN,
    frozenset(),
    _numbered,
    _chain_faults,
    definition={
        **_chain("benchmark-event", "benchmarks.add"),
        "on": [{"event": "benchmark.starts", "input": {"value": "${{ event.data.value }}"}}],
    },
)


#: waits for a signal that nobody sends
HOLDS = Workload(
    "benchmark-holds",
    ("hold",),
    frozenset(),
    _numbered,
    lambda _: [],
    definition={
        "name": "benchmark-holds",
        "lane": "standard",
        "steps": {"hold": {"wait": {"signal": "never", "timeout": "1d"}}},
    },
)
#: sleeps until the moment in its input, and then runs one step
SLEEPS = Workload(
    "benchmark-sleeps",
    ("nap", "after"),
    frozenset(),
    _numbered,
    lambda _: [],
    definition={
        "name": "benchmark-sleeps",
        "lane": "standard",
        "steps": {
            "nap": {"wait": {"until": "${{ input.at }}"}},
            "after": {"uses": "benchmarks.add", "needs": ["nap"], "with": {"value": "${{ input.value }}"}},
        },
    },
)


def _awaits(name: str, timeout: str) -> Workload:
    """Waits for a signal for so long, and then runs one step either way."""
    return Workload(
        name,
        ("hold", "after"),
        frozenset(),
        _numbered,
        lambda _: [],
        definition={
            "name": name,
            "lane": "standard",
            "steps": {
                "hold": {"wait": {"signal": "go", "timeout": timeout, "on_timeout": "continue"}},
                "after": {"uses": "benchmarks.add", "needs": ["hold"], "with": {"value": "${{ input.value }}"}},
            },
            "output": "${{ steps.hold.output }}",
        },
    )


AWAITS = _awaits("benchmark-awaits", "1h")
#: seconds until its timeout
RACE_SECONDS = 3.0
RACES = _awaits("benchmark-races", "3s")
#: fails as it starts: its expression has no value
FAILS = Workload(
    "benchmark-fails",
    ("one",),
    frozenset(),
    _numbered,
    lambda _: [],
    definition={
        "name": "benchmark-fails",
        "lane": "standard",
        "input": {"type": "object", "properties": {"value": {"type": "integer"}}},
        "steps": {"one": {"uses": "benchmarks.add", "with": {"value": "${{ input.value / 0 }}"}}},
    },
)


# --- a fan-out with a join --------------------------------------------------------------------------------

ITEMS = 1_000


def _fan_out_faults(run: RunRecord) -> list[str]:
    expected = [{"value": item + 1} for item in run.input["items"]]
    outputs = {step.step: step.output or {} for step in run.steps}
    faults = [] if run.output == sum(run.input["items"]) + ITEMS else [f"output is {run.output!r}"]
    if outputs.get("each", {}).get("results") != expected:
        faults.append("the items' results are not theirs, in their order")
    return faults


FAN_OUT = Workload(
    "benchmark-fan-out",
    ("each", "total"),
    frozenset(),
    lambda number: {"items": list(range(number, number + ITEMS))},
    _fan_out_faults,
    definition={
        "name": "benchmark-fan-out",
        "lane": "standard",
        "steps": {
            "each": {"uses": "benchmarks.add", "foreach": "${{ input.items }}", "with": {"value": "${{ item }}"}},
            "total": {
                "uses": "benchmarks.total",
                "needs": ["each"],
                "with": {"values": "${{ steps.each.output.results }}"},
            },
        },
        "output": "${{ steps.total.output.value }}",
    },
)


# --- the reference workflows, with their real steps -------------------------------------------------------


def _incident(number: int) -> dict[str, Any]:
    return {**_sample(), "breach_id": f"BENCHMARK-{number}", "seed": SEED}


def _sample() -> dict[str, Any]:
    return dict(json.loads(SAMPLE.read_text()))


def _threat(number: int) -> dict[str, Any]:
    sample = _sample()
    taken = ("severity", "incident_type", "attack_vector", "cves", "cvss_vectors", "assets")
    return {"threat_id": f"BENCHMARK-{number}", **{name: sample[name] for name in taken}}


def _duties(_number: int) -> dict[str, Any]:
    sample = _sample()
    taken = ("jurisdictions", "sector", "data_categories", "severity", "affected_records", "organisation_facts")
    return {name: sample[name] for name in taken}


def _must(holds: bool, otherwise: str) -> list[str]:
    return [] if holds else [otherwise]


def _is_score(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 100


def _breach_faults(run: RunRecord) -> list[str]:
    out = run.output or {}
    return [
        *_must(bool(out.get("decision", {}).get("level")), "no decision"),
        *_must(out.get("loss", {}).get("var95", 0) > 0, "no loss"),
        *_must(bool(out.get("deadlines")), "no legal deadlines"),
        *_must(bool((out.get("report") or {}).get("url")), "no report"),
    ]


def _trust_faults(run: RunRecord) -> list[str]:
    out = run.output or {}
    return [
        *_must(_is_score(out.get("score")), f"score is {out.get('score')!r}"),
        *_must(bool(out.get("grade")), "no grade"),
        *_must(bool((out.get("report") or {}).get("url")), "no report"),
    ]


def _compliance_faults(run: RunRecord) -> list[str]:
    out = run.output or {}
    return [
        *_must(_is_score(out.get("readiness")), f"readiness is {out.get('readiness')!r}"),
        *_must(bool(out.get("deadlines")), "no legal deadlines"),
        *_must(bool((out.get("decision") or {}).get("level")), "no decision"),
    ]


def _threat_faults(run: RunRecord) -> list[str]:
    out = run.output or {}
    return [
        *_must(bool(out.get("level")), "no decision"),
        *_must(_is_score(out.get("threat_score")), f"threat score is {out.get('threat_score')!r}"),
        *_must(_is_score(out.get("exposure_score")), f"exposure score is {out.get('exposure_score')!r}"),
    ]


def _same(*names: str) -> Callable[[RunRecord], Any]:
    return lambda run: [(run.output or {}).get(name) for name in names]


#: what each breach needs; what is filed, contained, asked and told beyond it depends on the case
_EACH_BREACH = frozenset({"enrich", "compliance", "posture", "quantify", "decide", "notices", "report"})
_BREACH_STEPS = tuple(yaml.safe_load((DEFINITIONS / "breach-response.yaml").read_text())["steps"])
BREACH = Workload(
    "breach-response",
    _BREACH_STEPS,
    frozenset(_BREACH_STEPS) - _EACH_BREACH,
    _incident,
    _breach_faults,
    _same("loss", "threat_level", "exposure_score"),
)
TRUST = Workload(
    "trust-score",
    ("compliance", "security", "risk", "operations", "score", "report", "notify"),
    frozenset({"notify"}),
    lambda _: {"seed": SEED},
    _trust_faults,
)
COMPLIANCE = Workload(
    "compliance-assessment",
    ("obligations", "readiness", "posture", "decide", "report"),
    frozenset(),
    _duties,
    _compliance_faults,
    _same("readiness"),
)
THREAT = Workload(
    "critical-threat",
    ("detect", "assess", "decide", "notify"),
    frozenset({"notify"}),
    _threat,
    _threat_faults,
    _same("level", "urgency", "threat_score", "exposure_score"),
)
VULNERABILITY = Workload(
    "vulnerability-response",
    (),
    frozenset(),
    lambda number: {"cves": [f"CVE-1900-{number % 9000 + 1000}"], "notify": ["a@example.org"]},
    lambda _: [],
)
MIXED: Sequence[Workload] = (BREACH, TRUST, COMPLIANCE)
