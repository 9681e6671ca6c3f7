"""A decision table as a grid that a form can edit: what the form's fields say, and back.

Fields: `hit_policy`, `aggregation`, `description`; of input 0 `i0.name`, `i0.label`, `i0.type`, `i0.values`,
`i0.optional`; of output 0 `o0.name`, `o0.label`, `o0.type`, `o0.values`, `o0.default`; of rule 0 `r0.id`, `r0.note`,
and its cells `r0.i0`, `r0.o0`; and how many there are: `inputs`, `outputs`, `rules`. Plain Python.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from erip.foundation.faults import Fault, join
from workflows.core.tables import values
from workflows.core.tables.document import MAX_INPUTS, MAX_OUTPUTS, MAX_RULES
from workflows.core.tables.feel import ANY, FeelError, Literal, read_tests

#: Django reads a thousand fields of a form; some are not of the grid
MOST_FIELDS: Final = 980
TYPES: Final = (
    "string", "number", "integer", "boolean", "date", "time", "date and time", "days and time duration",
    "years and months duration", "list", "context",
)  # fmt: skip
_PLAIN: Final = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")


@dataclass(slots=True)
class Column:
    """values, default: as FEEL writes them; "": none. optional: of an input; default: of an output."""

    name: str = ""
    label: str = ""
    type: str = ""
    values: str = ""
    optional: bool = False
    default: str = ""


@dataclass(slots=True)
class Row:
    """when, then: a cell for each input, for each output; "": accepts everything."""

    id: str = ""
    when: list[str] = field(default_factory=list)
    then: list[str] = field(default_factory=list)
    note: str = ""


@dataclass(slots=True)
class Grid:
    inputs: list[Column] = field(default_factory=list)
    outputs: list[Column] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    hit_policy: str = "UNIQUE"
    aggregation: str = ""
    description: str = ""

    @property
    def fields(self) -> int:
        """How many fields its form has."""
        wide = len(self.inputs) + len(self.outputs)
        return 8 + 5 * wide + (wide + 2) * len(self.rows)

    @property
    def fits(self) -> bool:
        return self.fields <= MOST_FIELDS

    def name_of(self, at: int) -> str:
        """What rule number `at`, from 0, is called."""
        return self.rows[at].id or str(at + 1)


def of_document(document: Mapping[str, Any]) -> Grid:
    """The grid of a document that was read without faults."""
    inputs = [_column(one) for one in document["inputs"]]
    outputs = [_column(one) for one in document["outputs"]]
    rows = [
        Row(
            str(rule.get("id", "")),
            [_condition(rule.get("when", {}).get(one.name, "-")) for one in inputs],
            [_text(rule["then"].get(one.name)) for one in outputs],
            str(rule.get("note", "")),
        )
        for rule in document["rules"]
    ]
    return Grid(
        inputs,
        outputs,
        rows,
        str(document.get("hit_policy", "UNIQUE")),
        str(document.get("aggregation") or ""),
        str(document.get("description", "")),
    )


def _column(one: Mapping[str, Any]) -> Column:
    listed = one.get("values", "")
    if isinstance(listed, list):
        listed = ", ".join(values.written(value) for value in listed)
    return Column(
        one["name"],
        str(one.get("label", "")),
        str(one.get("type", "")),
        listed,
        one.get("optional") is True,
        _text(one["default"]) if "default" in one else "",
    )


def _text(cell: Any) -> str:
    return cell.strip() if isinstance(cell, str) else values.written(cell)


def _condition(cell: Any) -> str:
    text = _text(cell)
    try:
        return "" if read_tests(text) == ANY else text
    except FeelError:
        return text


def of_fields(said: Mapping[str, str]) -> Grid:
    """The grid of a form. What is not there is empty; of what is too much, the first part."""

    def text(key: str) -> str:
        return said.get(key, "").strip()

    def many(key: str, most: int) -> int:
        found = text(key)
        return min(int(found), most) if found.isascii() and found.isdigit() and len(found) < 6 else 0

    def column(at: str) -> Column:
        return Column(
            text(f"{at}.name"),
            text(f"{at}.label"),
            text(f"{at}.type"),
            text(f"{at}.values"),
            bool(text(f"{at}.optional")),
            text(f"{at}.default"),
        )

    inputs = [column(f"i{at}") for at in range(many("inputs", MAX_INPUTS))]
    outputs = [column(f"o{at}") for at in range(many("outputs", MAX_OUTPUTS))]
    # A number alone is a field too: what no form can have sent is not rendered in answer to it. Twice, since adding a
    # column makes a grid wider than its form was.
    most = min(MAX_RULES, 2 * MOST_FIELDS // (len(inputs) + len(outputs) + 2))
    rows = [
        Row(
            text(f"r{at}.id"),
            ["" if text(f"r{at}.i{place}") == "-" else text(f"r{at}.i{place}") for place in range(len(inputs))],
            [text(f"r{at}.o{place}") for place in range(len(outputs))],
            text(f"r{at}.note"),
        )
        for at in range(many("rules", most))
    ]
    return Grid(inputs, outputs, rows, text("hit_policy") or "UNIQUE", text("aggregation"), text("description"))


def to_document(grid: Grid) -> dict[str, Any]:
    """The document that it says; `document.read` finds what is wrong with it."""
    found: dict[str, Any] = {"description": grid.description} if grid.description else {}
    found["inputs"] = [_said(one) | ({"optional": True} if one.optional else {}) for one in grid.inputs]
    found["outputs"] = [_said(one) | ({"default": _cell(one.default)} if one.default else {}) for one in grid.outputs]
    found["hit_policy"] = grid.hit_policy
    if grid.aggregation:
        found["aggregation"] = grid.aggregation
    found["rules"] = [_rule(grid, row) for row in grid.rows]
    return found


def _said(column: Column) -> dict[str, Any]:
    found: dict[str, Any] = {"name": column.name}
    if column.label:
        found["label"] = column.label
    if column.type:
        found["type"] = column.type
    if column.values:
        found["values"] = _listed(column.values)
    return found


def _listed(text: str) -> Any:
    """Values of one kind as a list, as people write them in YAML; ranges and dates stay a text."""
    try:
        tests = read_tests(text)
    except FeelError:
        return text
    found = [one.value for one in tests.any_of if isinstance(one, Literal)]
    plain = found and not tests.negated and len(found) == len(tests.any_of)
    return found if plain and all(type(one) in (str, int, float, bool) for one in found) else text


def _rule(grid: Grid, row: Row) -> dict[str, Any]:
    when = {one.name: _cell(cell) for one, cell in zip(grid.inputs, row.when, strict=True) if cell}
    then = {one.name: _cell(cell) for one, cell in zip(grid.outputs, row.then, strict=True) if cell}
    return {
        **({"id": row.id} if row.id else {}),
        **({"when": when} if when else {}),
        "then": then,
        **({"note": row.note} if row.note else {}),
    }


def _cell(text: str) -> Any:
    """A number or a boolean as it is, as people write it in YAML."""
    if text in ("true", "false"):
        return text == "true"
    if _PLAIN.fullmatch(text):
        number = values.number(text)
        return number if isinstance(number, int | float) else text
    return text


# --- faults at their places -------------------------------------------------------------------------------


def at_fields(grid: Grid, faults: list[Fault]) -> tuple[dict[str, list[str]], list[str]]:
    """(messages by the field that they are about, what is about none of them)."""
    places = dict(_places(grid))
    found: dict[str, list[str]] = {}
    others: list[str] = []
    for fault in faults:
        key = places.get(fault.path)
        if key is None:
            others.append(str(fault))
        else:
            found.setdefault(key, []).append(fault.message)
    return found, others


def _places(grid: Grid) -> Any:
    yield from ((one, one) for one in ("hit_policy", "aggregation", "description"))
    for mark, word, columns in (("i", "inputs", grid.inputs), ("o", "outputs", grid.outputs)):
        for at in range(len(columns)):
            yield f"{word}[{at}]", f"{mark}{at}.name"
            for key in ("name", "label", "type", "values", "optional", "default"):
                yield f"{word}[{at}].{key}", f"{mark}{at}.{key}"
    for at in range(len(grid.rows)):
        yield f"rules[{at}]", f"r{at}.id"
        yield f"rules[{at}].id", f"r{at}.id"
        yield f"rules[{at}].note", f"r{at}.note"
        for place, one in enumerate(grid.inputs):
            yield join(f"rules[{at}].when", one.name), f"r{at}.i{place}"
        for place, one in enumerate(grid.outputs):
            yield join(f"rules[{at}].then", one.name), f"r{at}.o{place}"


@dataclass(frozen=True, slots=True)
class Cell:
    """A field of the form, as it is shown. faults: what is wrong with what it says."""

    key: str
    label: str
    value: str
    faults: list[str]

    @property
    def size(self) -> int:
        """Characters that are shown at once."""
        return min(max(len(self.value) + 1, 10), 48)


def shown(grid: Grid, faults: Mapping[str, list[str]]) -> dict[str, Any]:
    """Its fields, in the order of the page. faults: by the key of the field."""

    def cell(key: str, label: str, value: str) -> Cell:
        return Cell(key, label, value, faults.get(key, []))

    def columns(mark: str, word: str, listed: list[Column]) -> list[dict[str, Any]]:
        return [
            {
                "at": at,
                "optional": one.optional,
                "called": one.name or f"{word} {at + 1}",
                **{
                    key: cell(f"{mark}{at}.{key}", f"{word} {at + 1}, {key}", getattr(one, key))
                    for key in ("name", "label", "type", "values", "default")
                },
            }
            for at, one in enumerate(listed)
        ]

    inputs, outputs = columns("i", "Input", grid.inputs), columns("o", "Output", grid.outputs)
    rows = [
        {
            "at": at,
            "called": grid.name_of(at),
            "id": cell(f"r{at}.id", f"Rule {at + 1}, id", row.id),
            "when": [
                cell(f"r{at}.i{place}", f"Rule {at + 1}, when {inputs[place]['called']}", one)
                for place, one in enumerate(row.when)
            ],
            "then": [
                cell(f"r{at}.o{place}", f"Rule {at + 1}, then {outputs[place]['called']}", one)
                for place, one in enumerate(row.then)
            ],
            "note": cell(f"r{at}.note", f"Rule {at + 1}, note", row.note),
        }
        for at, row in enumerate(grid.rows)
    ]
    return {"inputs": inputs, "outputs": outputs, "rows": rows}


# --- what its buttons do ----------------------------------------------------------------------------------


def changed(grid: Grid, what: str) -> bool:
    """Do what a button says: `add-rule`, `add-rule-3` (behind rule 3), `drop-input-0`, `up-rule-3`, `down-rule-3`.
    Returns False if it says nothing that can be done."""
    verb, _, rest = what.partition("-")
    kind, _, number = rest.partition("-")
    listed: dict[str, list[Any]] = {"rule": grid.rows, "input": grid.inputs, "output": grid.outputs}
    if kind not in listed or (number and not (number.isascii() and number.isdigit() and len(number) < 6)):
        return False
    found, at = listed[kind], int(number) if number else len(listed[kind])
    if verb == "add" and at <= len(found):
        return _add(grid, kind, found, at + 1 if number else at)
    if not number or at >= len(found):
        return False
    if verb == "drop":
        del found[at]
        for row in grid.rows if kind != "rule" else ():
            del (row.when if kind == "input" else row.then)[at]
        return True
    other = {"up": at - 1, "down": at + 1}.get(verb, -1)
    if kind != "rule" or not 0 <= other < len(found):
        return False
    found[at], found[other] = found[other], found[at]
    return True


def _add(grid: Grid, kind: str, found: list[Any], at: int) -> bool:
    most = {"rule": MAX_RULES, "input": MAX_INPUTS, "output": MAX_OUTPUTS}[kind]
    if len(found) >= most or at > len(found):
        return False
    if kind == "rule":
        found.insert(at, Row("", [""] * len(grid.inputs), [""] * len(grid.outputs)))
        return True
    found.insert(at, Column())
    for row in grid.rows:
        (row.when if kind == "input" else row.then).insert(at, "")
    return True
