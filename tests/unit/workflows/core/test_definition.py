"""Definitions: a good one becomes a graph, a bad one shows everything that is wrong with it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.core.definition import DefinitionInvalid, content_hash, parse, schema, validate
from workflows.core.graph import Retry
from workflows.core.kinds import ForEach

SCHEMA = schema()
CVE_LIST = {"type": "array", "items": {"type": "string"}}


@dataclass(frozen=True)
class Registered:
    name: str
    input_schema: dict[str, Any]
    idempotent: bool = True
    transactional: bool = False
    timeout: float = 30.0
    retry: Retry | None = None
    output_schema: dict[str, Any] = field(default_factory=dict)


STEPS: Mapping[str, Registered] = {
    step.name: step
    for step in (
        Registered(
            "nexus.enrich_threat",
            {
                "type": "object",
                "additionalProperties": False,
                "required": ["cves"],
                "properties": {
                    "cves": CVE_LIST,
                    "depth": {"type": "integer"},
                    "mode": {"enum": ["fast", "full"]},
                    "sector": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                    "window": {"$ref": "#/$defs/window"},
                },
                "$defs": {
                    "window": {"type": "object", "required": ["from"], "properties": {"from": {"type": "string"}}}
                },
            },
            timeout=10.0,
            retry=Retry(max_attempts=5, backoff=0.5),
        ),
        Registered("atlas.assess_posture", {"type": "object"}),
        Registered("notify.send", {"type": "object"}, idempotent=False, transactional=True),
    )
}

BREACH = """
name: breach-response
description: From a report to a decision.
lane: critical
timeout: 4h
input:
  type: object
  required: [breach_id]
  additionalProperties: false
  properties: {breach_id: {type: string}, cves: {type: array, items: {type: string}}}
steps:
  notify:
    {uses: notify.send, needs: [posture], if: "steps.posture.output.level != 'none'", essential: false}
  posture: {uses: atlas.assess_posture, needs: [enrich], with: {threat: "${{ steps.enrich.output }}"}}
  enrich:
    uses: nexus.enrich_threat
    with: {cves: "${{ input.cves }}"}
    timeout: 1m30s
    retry: {max_attempts: 2, max_delay: 5s}
output: "${{ {'threat': steps.enrich.output, 'posture': steps.posture.output} }}"
"""


def graph_of(source: str, media: str = "yaml"):
    return validate(parse(source, media), STEPS)


def faults_of(source: str) -> list[str]:
    with pytest.raises(DefinitionInvalid) as caught:
        graph_of(source)
    return [str(fault) for fault in caught.value.faults]


def with_steps(steps: str, more: str = "") -> str:
    return f"name: a\n{more}\nsteps:\n" + "\n".join(f"  {line}" for line in steps.strip().splitlines())


# --- a good definition


def test_a_definition_becomes_a_graph():
    graph = graph_of(BREACH)
    assert (graph.name, graph.lane, graph.timeout) == ("breach-response", "critical", 14_400.0)
    assert graph.description == "From a report to a decision."
    assert list(graph.steps) == ["enrich", "posture", "notify"]
    assert graph.dependents == {"enrich": ("posture",), "posture": ("notify",), "notify": ()}
    enrich, posture, notify = graph.steps.values()
    assert enrich.work.timeout == 90.0
    assert enrich.work.retry == Retry(max_attempts=2, backoff=0.5, max_delay=5.0)
    assert (posture.work.timeout, posture.work.retry) == (30.0, Retry())
    assert posture.needs == ("enrich",)
    assert (notify.essential, notify.work.idempotent, notify.work.transactional) == (False, False, True)
    context = {"input": {"cves": ["x"]}, "steps": {"enrich": {"output": 1}, "posture": {"output": {"level": "none"}}}}
    assert enrich.work.with_.render(context) == {"cves": ["x"]}
    assert notify.condition.test(context) is False
    assert graph.output.render(context) == {"threat": 1, "posture": {"level": "none"}}
    assert graph.input_faults({"breach_id": "a", "cves": ["b"]}) == []
    assert [fault.path for fault in graph.input_faults({"cves": [1], "z": 1})] == [
        "input.breach_id",
        "input.cves[0]",
        "input.z",
    ]


def test_lane_and_timeout_have_defaults():
    graph = graph_of(with_steps("s: {uses: atlas.assess_posture}"))
    assert (graph.lane, graph.timeout, graph.input_schema, graph.output) == ("standard", None, None, None)
    assert graph.steps["s"].work.with_ is None
    assert graph.steps["s"].condition is None


def test_yaml_and_json_of_one_content_are_one_definition():
    document = parse(BREACH, "yaml")
    assert parse(json.dumps(document), "json") == document
    assert parse(json.dumps(document).encode(), "json") == document
    reordered = dict(reversed(document.items()))
    assert content_hash(reordered) == content_hash(document)
    assert content_hash({**document, "lane": "high"}) != content_hash(document)


def test_an_if_may_be_written_with_or_without_braces():
    for text in ("input.n > 1", "${{ input.n > 1 }}"):
        condition = graph_of(with_steps(f's: {{uses: atlas.assess_posture, if: "{text}"}}')).steps["s"].condition
        assert condition.source == "input.n > 1"
    assert graph_of(with_steps("s: {uses: atlas.assess_posture, if: false}")).steps["s"].condition.test({}) is False


def test_a_definition_may_make_a_step_not_idempotent():
    steps = graph_of(with_steps("s: {uses: atlas.assess_posture, idempotent: false}")).steps
    assert steps["s"].work.idempotent is False


def test_a_step_may_read_what_its_needs_need():
    graph = graph_of(
        with_steps(
            """
            a: {uses: atlas.assess_posture}
            b: {uses: atlas.assess_posture, needs: [a]}
            c: {uses: atlas.assess_posture, needs: [b], with: {x: "${{ steps.a.output }}"}}
            """.replace("            ", "")
        )
    )
    assert graph.steps["c"].work.with_.references == {"a"}


def test_the_published_schema_is_a_schema_and_accepts_good_definitions():
    jsonschema_rs.meta.validate(SCHEMA)
    assert jsonschema_rs.is_valid(SCHEMA, parse(BREACH, "yaml"))


# --- faults


def test_every_fault_is_told_at_once():
    faults = faults_of("""
name: Breach_Response
lan: critical
timeout: 4 hours
input: {properties: {a: {$ref: 'file:///etc/passwd'}}}
steps:
  a: {uses: atlas.assess_posture, needs: [b]}
  b: {uses: atlas.assess_posture, needs: [a], foreach: 1}
  assess: {uses: nexus.enrich, needs: [enrich], timeout: -1}
  d: {uses: nexus.enrich_threat, with: {cves: 5}, if: "input.x >"}
  e: {uses: atlas.assess_posture, with: {a: "${{ steps.d.output }}", b: "${{ input.cves.map(c, c) }}"}}
  F: {uses: atlas.assess_posture}
  g: [1]
output: {a: "${{ steps.nobody.output }}"}
""")
    for expected in (
        "name: is not a workflow name",
        'lan: unknown key (did you mean "lane"?)',
        "timeout: is not a duration",
        "input.properties.a.$ref: 'file:///etc/passwd': only references within the schema",
        "steps.b.needs: cycle a -> b -> a",
        "steps.b.foreach: is not a list, or one ${{ expression }} that gives a list",
        'steps.assess.needs[0]: no step "enrich"',
        'steps.assess.uses: no step named "nexus.enrich" is registered (did you mean "nexus.enrich_threat"?)',
        "steps.assess.timeout: is not a duration",
        'steps.d.with.cves: 5 is not of type "array"',
        "steps.d.if: not a CEL expression",
        "steps.e.with.b: map() is not allowed",
        "steps.F: not a step id",
        "steps.g: is not an object with uses",
        'output.a: no step "nobody"',
    ):
        assert [fault for fault in faults if fault.startswith(expected)], (expected, faults)


@pytest.mark.parametrize(
    ("definition", "fault"),
    [
        ("name: a", "steps: is required"),
        ("steps: {}", "name: is required"),
        ("name: a\nsteps: {}", "steps: at least one step is needed"),
        ("name: a\nsteps: []", "steps: is not an object of steps by id"),
        ("name: a\nsteps: {s: {}}", "steps.s.uses: is required"),
        ("name: 5\nsteps: {s: {uses: notify.send}}", "name: is not a workflow name"),
        (with_steps("s: {uses: notify.send}", "lane: urgent"), "lane: is not a lane"),
        (with_steps("s: {uses: notify.send}", "timeout: 0"), "timeout: is not a duration"),
        (with_steps("s: {uses: notify.send}", "timeout: 0s"), "timeout: a duration must be at least 1ms"),
        (with_steps("s: {uses: notify.send}", "timeout: 99999d"), "timeout: a duration must be at least 1ms"),
        (with_steps("s: {uses: notify.send}", "timeout: true"), "timeout: is not a duration"),
        (with_steps("s: {uses: notify.send}", "input: {type: strin}"), "input.type: not a JSON Schema"),
        (with_steps("s: {uses: notify.send}", "on: push"), "on: is not a rule, or a list of rules"),
        (with_steps("s: {uses: notify.send, compensate: {}}"), "steps.s.compensate: unknown key"),
        (with_steps("s: {uses: notify.send, needs: s}"), "steps.s.needs: is not a list"),
        (with_steps("s: {uses: notify.send, needs: [5]}"), "steps.s.needs[0]: is not a step id"),
        (with_steps("s: {uses: notify.send, needs: [s]}"), "steps.s.needs[0]: a step cannot need itself"),
        (with_steps("s: {uses: notify.send, essential: 1}"), "steps.s.essential: is not true or false"),
        (with_steps("s: {uses: notify.send, essential: false}"), "steps: at least one step must be essential"),
        (with_steps("s: {uses: notify.send, idempotent: true}"), "steps.s.idempotent: notify.send is not idempotent"),
        (with_steps("s: {uses: notify.send, retry: 3}"), "steps.s.retry: is not an object with max_attempts"),
        (with_steps("s: {uses: notify.send, retry: {max_attempts: 0}}"), "steps.s.retry.max_attempts: is not a number"),
        (with_steps("s: {uses: notify.send, retry: {jitter: 1}}"), "steps.s.retry.jitter: unknown key"),
        (with_steps("s: {uses: notify.send, with: [1]}"), "steps.s.with: is not an object"),
        (with_steps("s: {uses: notify.send, with: text}"), 'steps.s.with: "text" is not of type "object"'),
        (with_steps("s: {uses: notify.send, if: 5}"), "steps.s.if: is not an expression"),
        (with_steps('s: {uses: notify.send, if: "steps.s.output.x"}'), "steps.s.if: a step cannot read its own"),
        (with_steps('s: {uses: notify.send, with: {a: "${{ 1"}}'), "steps.s.with.a: ${{ is not closed"),
        (
            with_steps(
                's: {uses: notify.send, with: {a: "${{ input.x }}"}}',
                "input: {additionalProperties: false, properties: {y: {}}}",
            ),
            "steps.s.with.a: the input has no input.x",
        ),
        (with_steps("s: {uses: nexus.enrich_threat}"), "steps.s.with.cves: is required"),
    ],
)
def test_a_fault_has_its_place_and_says_what(definition, fault):
    assert [told for told in faults_of(definition) if told.startswith(fault)], faults_of(definition)


def test_what_is_read_must_be_needed():
    faults = faults_of(
        with_steps(
            'a: {uses: atlas.assess_posture}\nb: {uses: atlas.assess_posture, with: {x: ["${{ steps.a.output }}"]}}'
        )
    )
    assert faults == ['steps.b.with.x[0]: reads "a", which "b" does not need: add it to needs']


def test_the_outcome_never_waits_for_what_is_not_essential():
    faults = faults_of("""
name: a
steps:
  a: {uses: atlas.assess_posture, essential: false}
  b: {uses: atlas.assess_posture, needs: [a]}
  c: {uses: atlas.assess_posture}
output: {x: "${{ steps.a.status }}"}
""")
    assert faults == [
        'steps.b.needs[0]: "a" is not essential: it runs after the outcome, "b" before it',
        'output.x: reads "a", which is not essential: it runs after the outcome',
    ]


def test_two_hundred_steps_and_no_more():
    assert len(graph_of(with_steps("\n".join(f"s{i}: {{uses: notify.send}}" for i in range(200)))).steps) == 200
    faults = faults_of(with_steps("\n".join(f"s{i}: {{uses: notify.send}}" for i in range(201))))
    assert any(fault.startswith("steps: ") for fault in faults)


def test_a_flood_of_faults_is_cut_short():
    steps = {f"s{i}": {"uses": "notify.send", "if": None, "timeout": None, "x": 1} for i in range(150)}
    with pytest.raises(DefinitionInvalid) as caught:
        validate({"name": "a", "steps": steps}, STEPS)
    assert len(caught.value.faults) == 201
    assert str(caught.value.faults[-1]) == "and 250 more"


# --- the input of steps


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        ({"cves": ["a"]}, []),
        ({"cves": ["a", 5]}, ['cves[1]: 5 is not of type "string"']),
        ({"cves": "${{ input.a }}"}, []),
        ({"cves": "CVE ${{ input.a }}"}, []),
        ({"cves": ["${{ input.a }}", 5]}, ['cves[1]: 5 is not of type "string"']),
        ({"cves": "${{ input.a }}", "mode": "slow"}, ['mode: "slow" is not one of "fast" or "full"']),
        ({"cves": "${{ input.a }}", "mode": "${{ input.b }}", "sector": "${{ input.c }}"}, []),
        ({"cves": "${{ input.a }}", "sector": 5}, ["sector: 5 is not valid under any of the schemas listed"]),
        ({"depth": "${{ input.a }}"}, ["cves: is required"]),
        ({"cves": [], "dept": "${{ input.a }}"}, ["dept: unknown key"]),
        ({"cves": [], "window": {"to": "${{ input.a }}"}}, ["window.from: is required"]),
        ({"cves": {"a": "${{ input.a }}"}}, ["cves: "]),
        ("${{ input.a }}", []),
    ],
)
def test_what_can_be_known_of_a_steps_input_is_checked_when_it_is_published(given, faults):
    document = {"name": "a", "steps": {"s": {"uses": "nexus.enrich_threat", "with": given}}}
    try:
        validate(document, STEPS)
        told = []
    except DefinitionInvalid as error:
        told = [str(fault).removeprefix("steps.s.with.") for fault in error.faults]
    assert len(told) == len(faults), told
    for one, expected in zip(told, faults, strict=True):
        assert one.startswith(expected)


def test_nothing_is_refused_that_depends_on_what_an_expression_gives():
    schema = {
        "type": "object",
        "if": {"properties": {"kind": {"const": "mail"}}},
        "then": {"required": ["to"]},
        "oneOf": [{"required": ["to"]}, {"properties": {"kind": {"const": "log"}}, "required": ["kind"]}],
        "properties": {"list": {"contains": {"const": 1}}},
    }
    steps = {"x": Registered("x", schema)}
    with_ = {"kind": "${{ input.kind }}", "list": ["${{ input.one }}"]}
    validate({"name": "a", "steps": {"s": {"uses": "x", "with": with_}}}, steps)


# --- fan-outs


def fan_out(**keys: object) -> dict[str, object]:
    """A definition with one fan-out, `each`, after `list`."""
    each = {"uses": "x", "needs": ["list"], "foreach": "${{ steps.list.output.all }}", **keys}
    return {"name": "a", "steps": {"list": {"uses": "x"}, "each": each}}


ANYTHING = {"x": Registered("x", {})}


def test_a_fan_out_has_its_list_its_width_and_its_tolerance():
    node = validate(fan_out(max_parallel=7, tolerated_failures="2.5%"), ANYTHING).steps["each"]
    assert isinstance(node.how, ForEach)
    assert node.how.fan_out.max_parallel == 7
    assert node.how.fan_out.tolerates(25, 1000)
    assert not node.how.fan_out.tolerates(26, 1000)
    node = validate(fan_out(foreach=[1, "${{ input.two }}"], tolerated_failures=1), ANYTHING).steps["each"]
    assert isinstance(node.how, ForEach)
    assert node.how.fan_out.max_parallel == 100
    assert node.how.fan_out.foreach.render({"input": {"two": 2}}) == [1, 2]
    assert [node.how.fan_out.tolerates(failed, 2) for failed in (0, 1, 2)] == [True, True, False]


def test_item_and_index_can_be_read_in_the_with_of_a_fan_out_and_nowhere_else():
    with_ = {"a": "${{ item.a[0] }} of ${{ index + 1 }}", "b": "${{ has(item.b) && input.all.exists(i, i == item) }}"}
    validate(fan_out(**{"with": with_}), ANYTHING)
    only = "can be read only in the `with` of a step that has foreach"
    for keys, expected in (
        ({"if": "item > 1"}, "steps.each.if: item"),
        ({"foreach": "${{ index }}"}, "steps.each.foreach: index"),
    ):
        with pytest.raises(DefinitionInvalid) as told:
            validate(fan_out(**keys), ANYTHING)
        assert [str(fault) for fault in told.value.faults] == [f"{expected} {only}"]
    document = {"name": "a", "steps": {"s": {"uses": "x", "with": {"v": ["${{ item }}"]}}}, "output": "${{ index }}"}
    with pytest.raises(DefinitionInvalid) as told:
        validate(document, ANYTHING)
    assert [fault.path for fault in told.value.faults] == ["steps.s.with.v[0]", "output"]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"foreach": "text"}, "steps.each.foreach: is not a list, or one ${{ expression }}"),
        ({"foreach": "a ${{ input.a }}"}, "steps.each.foreach: is not a list, or one ${{ expression }}"),
        ({"foreach": "${{ steps.nobody.output }}"}, 'steps.each.foreach: no step "nobody"'),
        ({"foreach": "${{ steps.each.output }}"}, "steps.each.foreach: a step cannot read its own output"),
        ({"needs": []}, 'steps.each.foreach: reads "list", which "each" does not need'),
        ({"max_parallel": 0}, "steps.each.max_parallel: is not a number of items from 1 to 10,000"),
        ({"max_parallel": 10_001}, "steps.each.max_parallel: is not a number of items"),
        ({"tolerated_failures": "101%"}, "steps.each.tolerated_failures: is not a number of items, or a share"),
        ({"tolerated_failures": -1}, "steps.each.tolerated_failures: is not a number of items, or a share"),
        ({"max_paralel": 1}, 'steps.each.max_paralel: unknown key (did you mean "max_parallel"?)'),
    ],
)
def test_faults_of_a_fan_out_are_told_with_their_place(keys, expected):
    with pytest.raises(DefinitionInvalid) as told:
        validate(fan_out(**keys), ANYTHING)
    assert [fault for fault in map(str, told.value.faults) if fault.startswith(expected)], told.value.faults


def test_what_goes_with_foreach_is_a_fault_without_it():
    step = {"uses": "x", "max_parallel": 3, "tolerated_failures": 1}
    with pytest.raises(DefinitionInvalid) as told:
        validate({"name": "a", "steps": {"s": step}}, ANYTHING)
    assert [str(fault) for fault in told.value.faults] == [
        "steps.s.max_parallel: goes with foreach, which this step does not have",
        "steps.s.tolerated_failures: goes with foreach, which this step does not have",
    ]


# --- laws

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | st.just("${{ input.a }}") | st.just("a"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KEYS = [
    "uses",
    "needs",
    "with",
    "if",
    "essential",
    "timeout",
    "retry",
    "idempotent",
    "foreach",
    "max_parallel",
    "tolerated_failures",
]
STEP = st.dictionaries(st.sampled_from(KEYS), JSON, max_size=5) | JSON
DOCUMENT = st.dictionaries(
    st.sampled_from(["name", "lane", "timeout", "input", "output", "description", "zzz"]), JSON, max_size=4
).flatmap(
    lambda document: st.dictionaries(st.sampled_from(["a", "b", "A"]), STEP, max_size=3).map(
        lambda steps: {**document, "steps": steps}
    )
)


@given(DOCUMENT | JSON)
@settings(max_examples=300, deadline=None)
def test_any_document_is_a_graph_or_a_list_of_faults(document):
    faults = []
    try:
        validate(document, STEPS)
    except DefinitionInvalid as error:
        faults = error.faults
        assert error.faults  # noqa: PT017
    assert all(fault.message for fault in faults)


@given(DOCUMENT)
@settings(max_examples=150, deadline=None)
def test_what_the_published_schema_refuses_is_refused(document):
    if not jsonschema_rs.is_valid(SCHEMA, document):
        with pytest.raises(DefinitionInvalid):
            validate(document, STEPS)


@pytest.mark.parametrize("percent", range(101))
def test_a_share_of_tolerated_failures_is_exact(percent: int) -> None:
    how = validate(fan_out(tolerated_failures=f"{percent}%"), ANYTHING).steps["each"].how.fan_out
    assert how.tolerates(percent, 100)
    assert not how.tolerates(percent + 1, 100)


def test_tolerated_failures_that_are_written_as_a_whole_float_are_a_number_of_items() -> None:
    how = validate(fan_out(tolerated_failures=3.0), ANYTHING).steps["each"].how.fan_out
    assert [how.tolerates(failed, 9) for failed in (3, 4)] == [True, False]


ON = """
name: on
input:
  type: object
  required: [cves]
  additionalProperties: false
  properties: {cves: {type: array}, n: {type: integer}}
steps: {s: {uses: notify.send}}
on:
"""


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ("{if: true}", "on[0].event: is required"),
        ("{event: a.*.b}", "on[0].event: is not a type of events"),
        ('{event: "*"}', "on[0].event: is not a type of events"),
        ("{event: a, source: a*b}", "on[0].source: is not a source"),
        ("{event: a, inptu: {}}", 'on[0].inptu: unknown key (did you mean "input"?)'),
        ("{event: a, action: stop}", "on[0].action: is not an action: start, drop or signal"),
        ("{event: a, action: signal}", "on[0].signal: is required with the action signal"),
        ("{event: a, action: signal, signal: ok}", "on[0].run: give either business_key or run"),
        ("{event: a, action: signal, signal: ok, run: x, business_key: x}", "on[0].run: give either business_key or"),
        ("{event: a, action: signal, signal: ok, run: x, lane: high}", "on[0].lane: goes with the action start"),
        ("{event: a, action: signal, signal: ok, run: x}", 'on[0].signal: no step waits for "ok": they wait for none'),
        ("{event: a, action: signal, signal: OK}", "on[0].signal: is not a signal name"),
        ("{event: a, action: signal, if_none: start}", "on[0].if_none: is not dead_letter or ignore"),
        ("{event: a, signal: {name: x}}", "on[0].signal: is not a signal name"),
        ("{event: a, input: {cves: []}, signal: ok}", "on[0].signal: goes with the action signal"),
        ("{event: a, action: drop, business_key: x}", "on[0].business_key: goes with the action start or signal"),
        ("{event: a, collect: {for: 1m}}", "on[0].collect.max: is required"),
        ("{event: a, collect: {for: 1m, max: 0}}", "on[0].collect.max: is not a whole number from 1 to 1,000"),
        ("{event: a, collect: {for: 169h, max: 3}}", "on[0].collect.for: events are gathered for 1ms at least and 7"),
        ("{event: a, collect: 5m}", "on[0].collect: is not an object with for and max"),
        ("{event: a, collect: {for: 1m, max: 3, each: '${{ events }}'}}", "on[0].collect.each: unknown name 'events'"),
        ("{event: a, collect: {for: 1m, max: 3}, dedupe: 1m}", "on[0].collect: does not go with dedupe"),
        ("{event: a, collect: {for: 1m, max: 3}, input: {cves: '${{ event.id }}'}}", "on[0].input.cves: event can be"),
        ("{event: a, debounce: {for: 1m, max: 30s}}", "on[0].debounce.max: is less than for"),
        ("{event: a, debounce: {for: 1m}}", "on[0].debounce.max: is required"),
        ("{event: a, debounce: soon}", "on[0].debounce: is not a duration"),
        ("{event: a, action: drop, lane: high}", "on[0].lane: goes with the action start"),
        ("{event: a, if: input.n > 1}", "on[0].if: input cannot be read here: there is event"),
        ("{event: a, if: event.Data.n > 1}", "on[0].if: event.Data: an attribute's name has lower-case letters"),
        ('{event: a, if: "event.data.map(x, x)"}', "on[0].if: map() is not allowed"),
        ('{event: a, input: {cves: ["${{ item }}"]}}', "on[0].input.cves[0]: item can be read only in the `with`"),
        ("{event: a}", "on[0].input.cves: is required"),
        ('{event: a, input: {cves: ["${{ event.data.x }}"], m: 1}}', "on[0].input.m: unknown key"),
        ('{event: a, input: {cves: ["${{ event.data.x }}"], n: x}}', 'on[0].input.n: "x" is not of type "integer"'),
        ("{event: a, input: text}", "on[0].input: is not an object, or one ${{ expression }}"),
        ("{event: a, input: {cves: []}, business_key: ''}", "on[0].business_key:"),
        ("{event: a, input: {cves: []}, lane: fast}", "on[0].lane: is not a lane"),
        ("{event: a, input: {cves: []}, deadline: soon}", "on[0].deadline: is not a date"),
        ("{event: a, input: {cves: []}, dedupe: soon}", "on[0].dedupe: is not a duration"),
        ("{event: a, input: {cves: []}, dedupe: 1m, debounce: 1m}", "on[0].debounce: does not go with dedupe"),
        ("{event: a, input: {cves: []}}\n  - {input: {cves: []}, event: a}", "on[1]: says the same as on[0]"),
    ],
)
def test_a_fault_of_a_rule_has_its_place_and_says_what(rule, fault):
    told = faults_of(f"{ON}  - {rule}\n")
    assert [one for one in told if one.startswith(fault)], told


def test_faults_of_all_rules_are_told_at_once():
    told = faults_of(
        ON + "  - {event: a, input: {cves: []}, if: x}\n  - 5\n  - {event: b, input: {n: x}, lane: high}\n"
    )
    assert {one.split(":")[0] for one in told} == {"on[0].if", "on[1]", "on[2].input.cves", "on[2].input.n"}


def test_one_rule_may_stand_without_a_list():
    assert faults_of(ON.rstrip() + " {event: a, if: x, input: {cves: []}}\n")[0].startswith("on.if:")


def test_the_rules_of_steps_read_no_event():
    told = faults_of(with_steps('s: {uses: notify.send, if: "event.data.x"}'))
    assert told == ["steps.s.if: event can be read only in the rules of `on`"]
