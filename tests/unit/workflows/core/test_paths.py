"""What can be known at publication about paths and inputs is checked then: every fault at once, each with its path."""

import time
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
import yaml
from pydantic import BaseModel

from workflows.core.contracts import accepted, given
from workflows.core.definition import DefinitionInvalid, validate
from workflows.core.graph import Retry


class Part(BaseModel):
    name: str
    size: int = 0


class Box(BaseModel):
    number: int
    parts: list[Part] = []
    lid: Part | None = None
    labels: dict[str, str] = {}
    free: Any = None


class Order(BaseModel):
    id: str
    main: Part | None = None
    others: list[Part] = []
    mode: Literal["fast", "slow"] = "slow"
    notes: dict[str, Any] = {}


@dataclass(frozen=True)
class Registered:
    name: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] = field(default_factory=dict)
    idempotent: bool = True
    transactional: bool = False
    timeout: float = 30.0
    retry: Retry | None = None


STEPS = {
    "box": Registered("box", accepted(Order), given(Box)),
    "any": Registered("any", {"type": "object"}, {}),
}


def faults_of(text: str, *, stored: bool = False) -> list[str]:
    try:
        validate(yaml.safe_load(text), STEPS, stored=stored)
    except DefinitionInvalid as error:
        return [str(fault) for fault in error.faults]
    return []


def reading(expression: str) -> str:
    return f"""
name: reading
input:
  type: object
  additionalProperties: false
  properties:
    cves: {{type: array, items: {{type: string}}}}
    owner: {{anyOf: [{{$ref: "#/$defs/person"}}, {{type: "null"}}]}}
    free: {{type: object}}
  $defs: {{person: {{type: object, additionalProperties: false, properties: {{mail: {{type: string}}}}}}}}
steps:
  box: {{uses: box, with: {{id: a}}}}
  boxes: {{uses: box, foreach: ["a", "b"], with: {{id: "${{{{ item }}}}"}}}}
  ask: {{wait: {{signal: go, timeout: 1h, on_timeout: continue, schema: {{type: object, additionalProperties: false,
        properties: {{by: {{type: string}}}}}}}}}}
  nap: {{wait: {{for: 1s}}}}
  any: {{uses: any}}
  use: {{uses: any, needs: [box, boxes, ask, nap, any], with: {{value: "${{{{ {expression} }}}}"}}}}
"""


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("steps.box.output.numbr", 'there is no steps.box.output.numbr (did you mean "number"?)'),
        ("steps.box.output.lid.nam", 'there is no steps.box.output.lid.nam (did you mean "name"?)'),
        ("steps.box.output.parts[0].nam", 'there is no steps.box.output.parts[0].nam (did you mean "name"?)'),
        ("steps.box.output.number.x", "there is no steps.box.output.number.x: it is an integer"),
        ("steps.box.output.parts.name", "there is no steps.box.output.parts.name: it is a list"),
        ("steps.box.output[0]", "there is no steps.box.output[0]: it has number, parts, lid, labels, free"),
        ("size(steps.box.output.prts) > 0", 'there is no steps.box.output.prts (did you mean "parts"?)'),
        ("has(steps.box.output.lidd) ? 1 : 2", 'there is no steps.box.output.lidd (did you mean "lid"?)'),
        ("steps.boxes.output.result", 'there is no steps.boxes.output.result (did you mean "results"?)'),
        (
            "steps.boxes.output.results[0].numbr",
            'there is no steps.boxes.output.results[0].numbr (did you mean "number"?)',
        ),
        (
            "steps.boxes.output.failures[0].error",
            "there is no steps.boxes.output.failures[0].error: it has item, code, message",
        ),
        ("steps.ask.output.timedout", 'there is no steps.ask.output.timedout (did you mean "timed_out"?)'),
        ("steps.ask.output.payload.byy", 'there is no steps.ask.output.payload.byy (did you mean "by"?)'),
        ("steps.nap.output.x", "there is no steps.nap.output.x: it is an object"),
        ("input.cvs", 'the input has no input.cvs: its schema allows no such key (did you mean "cves"?)'),
        ("input.owner.mial", 'the input has no input.owner.mial: its schema allows no such key (did you mean "mail"?)'),
        ("input.cves[0].x", "there is no input.cves[0].x: it is a string"),
    ],
)
def test_a_path_that_cannot_be_there_is_a_fault(expression: str, fault: str) -> None:
    assert faults_of(reading(expression)) == [f"steps.use.with.value: {fault}"]


@pytest.mark.parametrize(
    "expression",
    [
        "steps.box.output.parts[3].size",
        "steps.box.output.labels.whatever",
        "steps.box.output.free.what.ever[3]",
        "steps.box.output.lid",
        "steps.boxes.output.results[1].parts[0].name",
        "steps.boxes.output.failures[0].code",
        "steps.any.output.what.ever",
        "steps.ask.output.payload.by",
        "steps.nap.output",
        "steps.box.status",
        "input.free.what.ever",
        "input.owner.mail",
    ],
)
def test_a_path_that_may_be_there_is_none(expression: str) -> None:
    assert faults_of(reading(expression)) == []


def test_items_are_known_by_what_the_list_is_made_of() -> None:
    text = """
name: items
input: {{type: object, properties: {{all: {{type: array, items: {{type: object, additionalProperties: false,
        properties: {{id: {{}}}}}}}}}}}}
steps:
  box: {{uses: box, with: {{id: a}}}}
  each: {{uses: any, needs: [box], foreach: {list}, with: {{v: "${{{{ {path} }}}}"}}}}
"""
    from_step, from_input, literal = '"${{ steps.box.output.parts }}"', '"${{ input.all }}"', "[{a: 1}, {b: 2}]"
    for items, good, bad in (
        (from_step, "item.size", "item.sise"),
        (from_input, "item.id", "item.idd"),
        (literal, "item.b", "item.c"),
        ('["${{ steps.box.output.lid }}"]', "item.anything", None),
        ('"${{ steps.box.output.free }}"', "item.anything", None),
    ):
        assert faults_of(text.format(list=items, path=good)) == []
        if bad:
            (fault,) = faults_of(text.format(list=items, path=bad))
            assert fault.startswith(f"steps.each.with.v: there is no {bad}")


def test_every_fault_of_an_input_is_named_also_beside_expressions_and_inside_of_choices() -> None:
    text = """
name: with
steps:
  a:
    uses: box
    with:
      main: {nmae: "${{ run.id }}", size: "3"}
      others: [{name: a, sise: 1}, {size: "${{ run.id }}"}, 7]
      mode: "fats"
      notes: {what: {ever: 1}}
      moed: fast
"""
    assert sorted(faults_of(text)) == [
        "steps.a.with.id: is required",
        "steps.a.with.main.name: is required",
        'steps.a.with.main.nmae: unknown key (did you mean "name"?)',
        "steps.a.with.main.size: is a string, not an integer",
        'steps.a.with.mode: "fats" is not one of "fast" or "slow"',
        'steps.a.with.moed: unknown key (did you mean "mode"?)',
        'steps.a.with.others[0].sise: unknown key (did you mean "size"?)',
        "steps.a.with.others[1].name: is required",
        'steps.a.with.others[2]: 7 is not of type "object"',
    ]


def test_the_output_and_conditions_are_looked_at_and_all_faults_come_at_once() -> None:
    text = """
name: all
steps:
  a: {uses: box, with: {id: x}}
  b: {uses: any, needs: [a], if: "steps.a.output.nmber > 1"}
output: {x: "${{ steps.a.output.lidd }}", y: "${{ steps.b.output.z }}"}
"""
    assert [fault.split(":")[0] for fault in faults_of(text)] == ["steps.b.if", "output.x"]


def test_a_stored_definition_is_read_whatever_is_known_today() -> None:
    wrong = reading("steps.box.output.numbr")
    assert faults_of(wrong)
    assert faults_of(wrong, stored=True) == []
    assert faults_of(reading("input.owner.mial"), stored=True) == []


def test_a_schema_that_branches_without_end_costs_little() -> None:
    branch: dict[str, Any] = {"anyOf": [{"properties": {f"k{i}": {"$ref": "#/$defs/n"}}} for i in range(30)]}
    document: dict[str, Any] = {
        "name": "hostile",
        "input": {"$ref": "#/$defs/n", "$defs": {"n": {"allOf": [branch, branch, branch]}}},
        "steps": {
            f"s{i}": {"uses": "any", "with": {f"k{j}": f"${{{{ input.k{i}.k{j}.k1.k2.k3 }}}}" for j in range(20)}}
            for i in range(30)
        },
    }
    began = time.monotonic()
    validate(document, STEPS)
    assert time.monotonic() - began < 60
