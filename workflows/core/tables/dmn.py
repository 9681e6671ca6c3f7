"""Decision tables as DMN's XML: read from versions 1.2 to 1.5, written as 1.5.

Note [What is read]
Each decision whose logic is a decision table becomes a document as `document.read` takes it. What a table cannot say is
refused with its place, never left out: other logic than a table, an input that is more than a path, annotations are
kept as notes. The XML is read by `defusedxml`: no entities, no DTD.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError, SubElement, indent, tostring

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from erip.foundation.faults import Fault
from workflows.core.tables import values
from workflows.core.tables.document import TableInvalid, read
from workflows.core.tables.feel import FeelError, Path, read_expression
from workflows.core.tables.values import Kind

#: the namespace of each version
VERSIONS: Final = {
    "http://www.omg.org/spec/DMN/20180521/MODEL/": "1.2",
    "https://www.omg.org/spec/DMN/20191111/MODEL/": "1.3",
    "https://www.omg.org/spec/DMN/20211108/MODEL/": "1.4",
    "https://www.omg.org/spec/DMN/20230324/MODEL/": "1.5",
}
WRITTEN: Final = "https://www.omg.org/spec/DMN/20230324/MODEL/"
#: bytes of a file
MAX_BYTES: Final = 4 * 1024 * 1024
_TYPES: Final = {
    "number": "number", "string": "string", "boolean": "boolean", "date": "date", "time": "time",
    "dateTime": "date and time", "date and time": "date and time", "dayTimeDuration": "days and time duration",
    "days and time duration": "days and time duration", "yearMonthDuration": "years and months duration",
    "years and months duration": "years and months duration",
}  # fmt: skip


_WRITTEN_TYPES: Final = {
    Kind.DATE_TIME: "dateTime", Kind.DAYS: "dayTimeDuration", Kind.MONTHS: "yearMonthDuration",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Imported:
    """The decision tables of a file: documents by the decisions' names. faults: what could not be read, and where;
    such a decision is not among the documents."""

    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def read_dmn(source: bytes) -> Imported:
    """Raises TableInvalid if it is no DMN at all."""
    if len(source) > MAX_BYTES:
        raise TableInvalid([Fault("", f"a DMN file has at most {MAX_BYTES:,} bytes")])
    try:
        root = fromstring(source, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise TableInvalid([Fault("", f"this is no XML that can be read: {str(error)[:200]}")]) from None
    space, _, name = root.tag.rpartition("}")
    if name != "definitions" or space.lstrip("{") not in VERSIONS:
        known = ", ".join(VERSIONS.values())
        raise TableInvalid([Fault("", f"this is not DMN {known}: its root is {root.tag[:200]}")])
    return _File(root, space + "}").read()


class _File:
    def __init__(self, root: Element, space: str) -> None:
        self._root = root
        self._space = space
        self._types = {one.get("name", ""): one for one in self._all(root, "itemDefinition")}
        self._found = Imported()

    def _all(self, of: Element, *names: str) -> list[Element]:
        return of.findall("/".join(self._space + name for name in names))

    def _text(self, of: Element | None, *names: str) -> str | None:
        found = of.find("/".join(self._space + name for name in (*names, "text"))) if of is not None else None
        return None if found is None else (found.text or "").strip()

    def _fault(self, path: str, message: str) -> None:
        self._found.faults.append(Fault(path, message))

    def read(self) -> Imported:
        for decision in self._all(self._root, "decision"):
            name = decision.get("name", "")
            before = len(self._found.faults)
            tables = self._all(decision, "decisionTable")
            if not name:
                self._fault("decision", "has no name")
            elif len(tables) != 1:
                logic = [one.tag.rpartition("}")[2] for one in decision]
                kind = next((one for one in logic if one.endswith("xpression") or one == "invocation"), "no logic")
                self._fault(name, f"is no decision table but {kind}, which is not supported")
            elif name in self._found.documents:
                self._fault(name, "stands twice")
            else:
                document = self._table(name, decision, tables[0])
                if len(self._found.faults) == before:
                    self._found.documents[name] = document
        return self._found

    def _table(self, name: str, decision: Element, table: Element) -> dict[str, Any]:
        inputs = [self._input(f"{name}.input[{at}]", one) for at, one in enumerate(self._all(table, "input"))]
        variable = decision.find(self._space + "variable")
        of_decision = variable.get("typeRef") if variable is not None else None
        outputs = [
            self._output(one, name, of_decision if len(self._all(table, "output")) == 1 else None)
            for one in self._all(table, "output")
        ]
        document: dict[str, Any] = {
            "inputs": inputs,
            "outputs": outputs,
            "hit_policy": table.get("hitPolicy", "UNIQUE"),
            "rules": list(self._rules(name, table, inputs, outputs)),
        }
        if aggregation := table.get("aggregation"):
            document["aggregation"] = aggregation
        if description := decision.findtext(self._space + "description"):
            document["description"] = description.strip()
        return document

    def _input(self, path: str, one: Element) -> dict[str, Any]:
        expression = one.find(self._space + "inputExpression")
        text = self._text(one, "inputExpression") or ""
        try:
            if not isinstance(read_expression(text), Path):
                self._fault(path, f"{text[:80]!r} is more than the name of a fact, which is not supported")
        except FeelError as error:
            self._fault(path, f"{text[:80]!r}: {error}")
        type_ = expression.get("typeRef") if expression is not None else None
        # A fact that is missing is null in DMN.
        found: dict[str, Any] = {"name": text, "optional": True}
        if label := one.get("label"):
            found["label"] = label
        return found | self._typed(type_, self._text(one, "inputValues"))

    def _output(self, one: Element, decision: str, of_decision: str | None) -> dict[str, Any]:
        found: dict[str, Any] = {"name": one.get("name") or decision}
        if label := one.get("label"):
            found["label"] = label
        default = self._text(one, "defaultOutputEntry")
        if default:
            found["default"] = default
        return found | self._typed(one.get("typeRef") or of_decision, self._text(one, "outputValues"))

    def _typed(self, type_: str | None, listed: str | None) -> dict[str, Any]:
        """The type and the values that are allowed; those of the item definition, if it is named."""
        found: dict[str, Any] = {}
        for _ in range(10):  # an item definition may be of another one's type
            own = self._types.get(type_ or "")
            if own is None or own.get("isCollection") == "true":
                break
            listed = listed or self._text(own, "allowedValues")
            type_ = own.findtext(self._space + "typeRef")
        if type_ in _TYPES:
            found["type"] = _TYPES[type_]
        if listed:
            found["values"] = listed
        return found

    def _rules(
        self, name: str, table: Element, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        for at, rule in enumerate(self._all(table, "rule")):
            path = f"{name}.rule[{at}]"
            when = [self._text(one) for one in self._all(rule, "inputEntry")]
            then = [self._text(one) for one in self._all(rule, "outputEntry")]
            if len(when) != len(inputs) or len(then) != len(outputs):
                cells = f"{len(when)} and {len(then)} cells for {len(inputs)} inputs and {len(outputs)} outputs"
                self._fault(path, f"has {cells}")
                continue
            found: dict[str, Any] = {
                "when": {one["name"]: cell for one, cell in zip(inputs, when, strict=True) if cell and cell != "-"},
                "then": {one["name"]: cell or "null" for one, cell in zip(outputs, then, strict=True)},
            }
            notes = [text for one in self._all(rule, "annotationEntry") if (text := self._text(one))]
            if description := rule.findtext(self._space + "description"):
                notes.insert(0, description.strip())
            if notes:
                found["note"] = "; ".join(notes)
            yield found


# --- writing ----------------------------------------------------------------------------------------------


def write_dmn(name: str, document: dict[str, Any]) -> bytes:
    """A document that `document.read` takes, as a file of DMN 1.5 with one decision. Raises TableInvalid.

    DMN knows no whole numbers: `integer` becomes `number`. A rule's note becomes its description.
    """
    table = read(document)
    named = {"xmlns": WRITTEN, "name": name, "namespace": "urn:erip:decisions", "id": "_definitions"}
    root = Element("definitions", named)
    decision = SubElement(root, "decision", {"name": name, "id": "_decision"})
    if isinstance(document.get("description"), str):
        SubElement(decision, "description").text = document["description"]
    variable = {"name": name}
    if len(table.outputs) == 1 and table.outputs[0].kind is not None:
        variable["typeRef"] = _name_of(table.outputs[0].kind)
    SubElement(decision, "variable", variable)
    attributes = {"id": "_table", "hitPolicy": str(table.policy)}
    if table.aggregation is not None:
        attributes["aggregation"] = str(table.aggregation)
    grid = SubElement(decision, "decisionTable", attributes)
    for at, given in enumerate(table.inputs):
        one = SubElement(grid, "input", {"id": f"_input_{at + 1}", "label": given.name})
        _expression(one, "inputExpression", given.name, given.kind)
        if given.allowed:
            _expression(one, "inputValues", ", ".join(values.written(value) for value in given.allowed))
    for at, output in enumerate(table.outputs):
        named = {"id": f"_output_{at + 1}", "name": output.name}
        if output.kind is not None:
            named["typeRef"] = _name_of(output.kind)
        one = SubElement(grid, "output", named)
        if output.allowed:
            _expression(one, "outputValues", ", ".join(values.written(value) for value in output.allowed))
        if output.default is not None:
            _expression(one, "defaultOutputEntry", _cell(document["outputs"][at]["default"]))
    for at, rule in enumerate(document["rules"]):
        row = SubElement(grid, "rule", {"id": f"_rule_{at + 1}"})
        if rule.get("note"):
            SubElement(row, "description").text = rule["note"]
        for given in table.inputs:
            _expression(row, "inputEntry", _cell(rule.get("when", {}).get(given.name, "-")))
        for output in table.outputs:
            _expression(row, "outputEntry", _cell(rule["then"][output.name]))
    indent(root)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def _name_of(kind: Kind) -> str:
    return _WRITTEN_TYPES.get(kind, str(kind))


def _cell(cell: Any) -> str:
    return cell.strip() or "-" if isinstance(cell, str) else values.written(cell)


def _expression(of: Element, tag: str, text: str, kind: Kind | None = None) -> None:
    one = SubElement(of, tag, {"typeRef": _name_of(kind)} if kind is not None else {})
    SubElement(one, "text").text = text
