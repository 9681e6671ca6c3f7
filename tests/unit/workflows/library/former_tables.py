"""CLEARANCE's tables as they were until they became decision tables: the reference that results are compared with.

Decision tables: rows of conditions on facts, the first row that matches decides. Plain Python.

    fields:
      severity: {type: word, values: [low, medium, high, critical]}     # in ascending order
      loss:     {type: number, min: 0}
      records:  {type: integer, min: 0}
      ransomware: {type: flag}
    rows:
      - id: board
        when: {severity: {at_least: high}, loss: {gte: 1000000}, ransomware: true}
        then: {level: board, urgency: immediate, sla_hours: 4, approvers: [ceo, ciso]}
      - id: otherwise
        when: {}
        then: {level: none, urgency: routine, sla_hours: 72, approvers: []}

Conditions: numbers `{gt, gte, lt, lte, eq}` (all must hold), words a word, `{in: [...]}`, `{at_least}`, `{at_most}`,
flags true or false. A fact that is not known matches a row only if the row says nothing about it.

Note [Cells]. Along each field only finitely many conditions can be distinguished: the thresholds that rows mention, and
the stretches between them. One value stands for each such cell, and a row's condition is the set of cells that it
accepts, as the bits of an int. A row is then a box of bit sets, and "is this row ever reached?" is a subtraction of
boxes: exact, without sampling. The cells are made with the very function that decides, so the two cannot disagree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from erip.foundation.faults import Fault

Value = str | float | bool | None
Box = tuple[int, ...]

MAX_ROWS: Final = 200
MAX_FIELDS: Final = 20
#: beyond this number of pieces the check gives up, and says so
MAX_PIECES: Final = 20_000
_COMPARISONS: Final = ("gt", "gte", "lt", "lte", "eq")
_OUTCOME: Final = ("level", "urgency", "sla_hours", "approvers")


class TableInvalid(ValueError):
    """The table cannot be used; `faults` names everything that is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = list(faults)


class BadFact(ValueError):
    """A fact is not of its field's kind."""


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: str
    values: tuple[str, ...] = ()
    least: float | None = None

    def read(self, value: Any) -> Value:
        """The value in the field's kind. Raises BadFact."""
        if value is None:
            return None
        if self.kind == "flag":
            if not isinstance(value, bool):
                raise BadFact(f"{self.name} must be true or false")
            return value
        if self.kind == "word":
            if value not in self.values:
                raise BadFact(f"{self.name} must be one of {', '.join(self.values)}")
            return str(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            raise BadFact(f"{self.name} must be a number")
        if self.kind == "integer" and value != int(value):
            raise BadFact(f"{self.name} must be a whole number")
        if self.least is not None and value < self.least:
            raise BadFact(f"{self.name} must not be below {self.least:g}")
        return value

    def accepts(self, condition: Any, value: Value) -> bool:
        """Whether a value, or an unknown one (None), fulfils a condition that was checked before."""
        if value is None:
            return False
        if self.kind == "flag":
            return value is condition
        if self.kind == "word":
            at = self.values.index(str(value))
            if isinstance(condition, str):
                return value == condition
            return (
                ("in" not in condition or value in condition["in"])
                and ("at_least" not in condition or at >= self.values.index(condition["at_least"]))
                and ("at_most" not in condition or at <= self.values.index(condition["at_most"]))
            )
        number = float(value)
        return (
            ("gt" not in condition or number > condition["gt"])
            and ("gte" not in condition or number >= condition["gte"])
            and ("lt" not in condition or number < condition["lt"])
            and ("lte" not in condition or number <= condition["lte"])
            and ("eq" not in condition or number == condition["eq"])
        )

    def condition_fault(self, condition: Any) -> str | None:
        if self.kind == "flag":
            return None if isinstance(condition, bool) else "must be true or false"
        if self.kind == "word":
            if isinstance(condition, str):
                return self._unknown([condition])
            if not isinstance(condition, dict) or not condition or set(condition) - {"in", "at_least", "at_most"}:
                return "must be a word, or an object of in, at_least, at_most"
            listed = condition.get("in", [])
            if not isinstance(listed, list) or ("in" in condition and not listed):
                return "in must be a list that is not empty"
            return self._unknown([*listed, *(condition[key] for key in ("at_least", "at_most") if key in condition)])
        if not isinstance(condition, dict) or not condition or set(condition) - set(_COMPARISONS):
            return f"must be an object of {', '.join(_COMPARISONS)}"
        for name, limit in condition.items():
            if isinstance(limit, bool) or not isinstance(limit, int | float) or limit - limit != 0:
                return f"{name} must be a finite number"
        return None

    def _unknown(self, words: Sequence[Any]) -> str | None:
        for word in words:
            if word not in self.values:
                return f"{word!r} is not one of {', '.join(self.values)}"
        return None

    def cells(self, conditions: Sequence[Any]) -> list[Value]:
        """One value for each set of values that the conditions cannot tell apart; None stands for an unknown value."""
        if self.kind == "flag":
            return [None, False, True]
        if self.kind == "word":
            return [None, *self.values]
        marks = sorted({float(limit) for condition in conditions for limit in condition.values()})
        if not marks:
            return [None, self.least if self.least is not None else 0.0]
        stands: list[float] = [marks[0] - 1]
        for mark, following in zip(marks, [*marks[1:], None], strict=True):
            stands.append(mark)
            stands.append(mark + 1 if following is None else (mark + following) / 2)
        if self.kind == "integer":
            # Between two thresholds an integer field has a cell only if a whole number lies there.
            stands = _whole(marks)
        if self.least is not None:
            # For a cell that reaches below the least value, that value itself is the representative.
            least = self.least
            stands = sorted({value for value in [least, *stands] if value >= least})
        return [None, *stands]


def _whole(marks: Sequence[float]) -> list[float]:
    found: set[float] = set()
    for mark in marks:
        floor = float(mark // 1)
        found.update((floor - 1, floor, floor + 1, floor + 2))
    # Whole numbers next to every threshold represent every cell; one more or less does no harm.
    return sorted(found)


@dataclass(frozen=True, slots=True)
class Outcome:
    level: str
    urgency: str
    sla_hours: float
    approvers: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    when: Mapping[str, Any]
    then: Outcome


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two rows that some facts both match, with different outcomes. The first one decides."""

    first: str
    second: str


@dataclass(frozen=True)
class Table:
    fields: tuple[Field, ...]
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, document: Any) -> "Table":
        """The table, if every row can be reached and every case is decided. Raises TableInvalid with every fault."""
        table, faults = read_document(document)
        if table is not None and not faults:
            faults = table.logic_faults()
        if table is None or faults:
            raise TableInvalid(faults)
        return table

    def decide(self, facts: Mapping[str, Any]) -> Row:
        """The first row that matches. Raises BadFact for a fact of the wrong kind, or one that has no field."""
        known = {field.name for field in self.fields}
        unknown = sorted(set(facts) - known)
        if unknown:
            raise BadFact(f"the table has no field {unknown[0]!r}; it has {', '.join(sorted(known))}")
        values = {field.name: field.read(facts.get(field.name)) for field in self.fields}
        for row in self.rows:
            if all(
                field.accepts(row.when[field.name], values[field.name])
                for field in self.fields
                if field.name in row.when
            ):
                return row
        raise AssertionError("a validated table decides every case")

    def could_be(self, facts: Mapping[str, Any], decided: Row) -> tuple[list[str], list[str]]:
        """(earlier rows that might decide if the unknown facts were known, the names of these facts).

        A row is among them if no known fact excludes it. Raises BadFact.
        """
        values = {field.name: field.read(facts.get(field.name)) for field in self.fields}
        rows: list[str] = []
        missing: dict[str, None] = {}
        for row in self.rows:
            if row is decided:
                break
            asked = [field for field in self.fields if field.name in row.when]
            unknown = [field.name for field in asked if values[field.name] is None]
            known = [field for field in asked if values[field.name] is not None]
            if all(field.accepts(row.when[field.name], values[field.name]) for field in known):
                rows.append(row.id)
                missing.update(dict.fromkeys(unknown))
        return rows, list(missing)

    def boxes(self) -> tuple[Box, list[Box]]:
        """The box of everything, and each row's box. See Note [Cells]."""
        whole: list[int] = []
        columns: list[list[int]] = []
        for field in self.fields:
            cells = field.cells([row.when[field.name] for row in self.rows if field.name in row.when])
            everything = (1 << len(cells)) - 1
            whole.append(everything)
            column = []
            for row in self.rows:
                if field.name not in row.when:
                    column.append(everything)
                    continue
                condition = row.when[field.name]
                column.append(sum(1 << bit for bit, cell in enumerate(cells) if field.accepts(condition, cell)))
            columns.append(column)
        return tuple(whole), [tuple(column[index] for column in columns) for index in range(len(self.rows))]

    def logic_faults(self) -> list[Fault]:
        """Rows that no case reaches, and cases that no row decides."""
        whole, boxes = self.boxes()
        faults: list[Fault] = []
        for index, (row, box) in enumerate(zip(self.rows, boxes, strict=True)):
            path = f"rows[{index}]"
            if 0 in box:
                empty = next(field.name for field, bits in zip(self.fields, box, strict=True) if not bits)
                faults.append(Fault(f"{path}.when.{empty}", "no value can fulfil it"))
                continue
            left = _minus([box], boxes[:index])
            if left is None:
                faults.append(Fault(path, "the table is too tangled to check; use fewer or simpler conditions"))
            elif not left:
                before = ", ".join(repr(self.rows[at].id) for at in range(index) if _meet(boxes[at], box) is not None)
                faults.append(Fault(path, f"row {row.id!r} is never reached: {before} decide all of its cases"))
        rest = _minus([whole], boxes)
        if rest is None:
            faults.append(Fault("rows", "the table is too tangled to check; use fewer or simpler conditions"))
        elif rest:
            faults.append(
                Fault("rows", f"no row decides the case {self._example(rest[0])}; end with a row `when: {{}}`")
            )
        return faults

    def overlaps(self) -> list[Overlap]:
        """Pairs of rows that both match some case and decide it differently; a last row for the rest does not count."""
        _, boxes = self.boxes()
        found = []
        for second in range(len(self.rows)):
            if not self.rows[second].when:
                continue
            for first in range(second):
                if _meet(boxes[first], boxes[second]) is None or self.rows[first].then == self.rows[second].then:
                    continue
                found.append(Overlap(self.rows[first].id, self.rows[second].id))
        return found

    def _example(self, box: Box) -> str:
        parts = []
        for field, bits in zip(self.fields, box, strict=True):
            cells = field.cells([row.when[field.name] for row in self.rows if field.name in row.when])
            # If both a known and an unknown value are undecided, the known one is the better example.
            choices = [cell for bit, cell in enumerate(cells) if bits >> bit & 1]
            value = next((cell for cell in choices if cell is not None), None)
            parts.append(f"{field.name}={'unknown' if value is None else value}")
        return ", ".join(parts)


def _meet(a: Box, b: Box) -> Box | None:
    both = tuple(x & y for x, y in zip(a, b, strict=True))
    return both if all(both) else None


def _minus(pieces: list[Box], boxes: Sequence[Box]) -> list[Box] | None:
    """The parts of the pieces that lie in none of the boxes, as disjoint boxes; None if there are too many."""
    for box in boxes:
        left: list[Box] = []
        for piece in pieces:
            both = _meet(piece, box)
            if both is None:
                left.append(piece)
                continue
            for at in range(len(piece)):
                outside = piece[at] & ~box[at]
                if outside:
                    left.append((*both[:at], outside, *piece[at + 1 :]))
        if len(left) > MAX_PIECES:
            return None
        pieces = left
    return pieces


def read_document(document: Any) -> tuple[Table | None, list[Fault]]:
    faults: list[Fault] = []
    if not isinstance(document, dict):
        return None, [Fault("", "a decision table is an object with fields and rows")]
    for key in sorted(set(document) - {"fields", "rows"}, key=str):
        faults.append(Fault(str(key), "unknown key; a table has fields and rows"))
    fields = _read_fields(document.get("fields"), faults)
    raw = document.get("rows")
    rows: list[Row] = []
    if not isinstance(raw, list) or not raw:
        faults.append(Fault("rows", "must be a list that is not empty"))
    elif len(raw) > MAX_ROWS:
        faults.append(Fault("rows", f"at most {MAX_ROWS} rows"))
    else:
        by_name = {field.name: field for field in fields}
        for index, row in enumerate(raw):
            found = _read_row(f"rows[{index}]", row, by_name, faults)
            if found is not None:
                if any(found.id == other.id for other in rows):
                    faults.append(Fault(f"rows[{index}].id", f"{found.id!r} stands twice"))
                rows.append(found)
    return Table(tuple(fields), tuple(rows)), faults


def _read_fields(raw: Any, faults: list[Fault]) -> list[Field]:
    if not isinstance(raw, dict) or not raw or len(raw) > MAX_FIELDS:
        faults.append(Fault("fields", f"must be an object of 1 to {MAX_FIELDS} fields"))
        return []
    fields: list[Field] = []
    for name, data in raw.items():
        path = f"fields.{name}"
        kind = data.get("type") if isinstance(data, dict) else None
        if kind not in ("number", "integer", "flag", "word"):
            faults.append(Fault(f"{path}.type", "must be number, integer, flag or word"))
            continue
        for key in sorted(set(data) - {"type", "values", "min"}, key=str):
            faults.append(Fault(f"{path}.{key}", "unknown key"))
        values = data.get("values", [])
        if kind == "word" and (
            not isinstance(values, list)
            or not values
            or not all(isinstance(value, str) for value in values)
            or len(set(values)) != len(values)
        ):
            faults.append(Fault(f"{path}.values", "must be a list of different words"))
            continue
        least = data.get("min")
        if least is not None and (isinstance(least, bool) or not isinstance(least, int | float)):
            faults.append(Fault(f"{path}.min", "must be a number"))
            continue
        fields.append(Field(str(name), kind, tuple(values), None if least is None else float(least)))
    return fields


def _read_row(path: str, row: Any, fields: Mapping[str, Field], faults: list[Fault]) -> Row | None:
    if not isinstance(row, dict):
        faults.append(Fault(path, "must be an object with id, when and then"))
        return None
    before = len(faults)
    for key in sorted(set(row) - {"id", "when", "then"}, key=str):
        faults.append(Fault(f"{path}.{key}", "unknown key"))
    name, when, then = row.get("id"), row.get("when", {}), row.get("then")
    if not isinstance(name, str) or not name:
        faults.append(Fault(f"{path}.id", "must be a text"))
    if not isinstance(when, dict):
        faults.append(Fault(f"{path}.when", "must be an object"))
        return None
    for key, condition in when.items():
        if key not in fields:
            faults.append(Fault(f"{path}.when.{key}", f"no such field; there are {', '.join(fields)}"))
            continue
        fault = fields[key].condition_fault(condition)
        if fault:
            faults.append(Fault(f"{path}.when.{key}", fault))
    outcome = _read_outcome(f"{path}.then", then, faults)
    if len(faults) > before or outcome is None:
        return None
    return Row(str(name), when, outcome)


def _read_outcome(path: str, then: Any, faults: list[Fault]) -> Outcome | None:
    if not isinstance(then, dict):
        faults.append(Fault(path, f"must be an object with {', '.join(_OUTCOME)}"))
        return None
    before = len(faults)
    for key in sorted(set(then) - {*_OUTCOME, "reason"}, key=str):
        faults.append(Fault(f"{path}.{key}", "unknown key"))
    for key in ("level", "urgency"):
        if not isinstance(then.get(key), str) or not then[key]:
            faults.append(Fault(f"{path}.{key}", "must be a text"))
    hours = then.get("sla_hours")
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 < hours <= 24 * 366:
        faults.append(Fault(f"{path}.sla_hours", "must be a number of hours above 0, at most a year"))
    approvers = then.get("approvers", [])
    if not isinstance(approvers, list) or not all(isinstance(one, str) and one for one in approvers):
        faults.append(Fault(f"{path}.approvers", "must be a list of texts"))
    reason = then.get("reason", "")
    if not isinstance(reason, str):
        faults.append(Fault(f"{path}.reason", "must be a text"))
    if len(faults) > before or not isinstance(hours, int | float):
        return None
    return Outcome(then["level"], then["urgency"], float(hours), tuple(approvers), reason)
