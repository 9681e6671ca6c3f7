"""One input of a table, and what its cells say about it as masks of rules: Note [Masks]."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cmp_to_key
from typing import Any, Final

from workflows.core.tables import values
from workflows.core.tables.feel import Compare, Literal, Test, Tests
from workflows.core.tables.testing import Facts, look_up, passes
from workflows.core.tables.values import ORDERED, Kind, Months, Range, kind_of

#: kinds whose pieces are told apart; cells about lists and contexts are asked one by one
_IN_PIECES: Final = ORDERED | {Kind.BOOLEAN}
_TYPES: Final[dict[Kind, tuple[type, ...]]] = {
    Kind.NUMBER: (int, float, Decimal), Kind.STRING: (str,), Kind.BOOLEAN: (bool,), Kind.DATE: (date,),
    Kind.TIME: (time,), Kind.DATE_TIME: (datetime,), Kind.DAYS: (timedelta,), Kind.MONTHS: (Months,),
    Kind.LIST: (list, tuple), Kind.CONTEXT: (dict,),
}  # fmt: skip
#: how a fact that came as JSON is read
_READ: Final[dict[Kind, Callable[[str], Any]]] = {
    Kind.DATE: values.read_date, Kind.TIME: values.read_time, Kind.DATE_TIME: values.read_date_time,
    Kind.DAYS: values.read_duration, Kind.MONTHS: values.read_duration,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a table. path: where the fact is; kind: None if any kind will do. allowed: if not empty, the only
    values. whole: only whole numbers. optional: it may be null, or missing."""

    name: str
    path: tuple[str, ...]
    kind: Kind | None = None
    allowed: tuple[Any, ...] = ()
    whole: bool = False
    optional: bool = False


class BadFact(ValueError):
    """A fact is not what the table takes; the message says why."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """The pieces of one kind of values: `points` in ascending order, and the stretches before, between and after them.

    masks: of piece 2k+1, which is point k, and of piece 2k, the stretch before it; 0 beyond what the input allows.
    real: whether each piece has a value at all.
    """

    kind: Kind
    points: tuple[Any, ...]
    masks: tuple[int, ...]
    real: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class _Lookup:
    """A mask for each value of a Python type. stretches: None if only the points are allowed."""

    points: Mapping[Any, int]
    bounds: Sequence[Any]
    stretches: Sequence[int | None] | None
    read: Callable[[str], Any] | None = None


@dataclass(frozen=True)
class Column:
    """An input and the cells of all rules about it. Bit i of a mask is rule i."""

    input: Input
    cells: tuple[Tests, ...]
    #: of each kind of values that the input may have
    pieces: tuple[Pieces, ...] = field(init=False)
    #: rules that accept null; None if it may not be null
    null: int | None = field(init=False)
    #: rules that accept a value of a kind that no cell is about
    other: int = field(init=False)
    #: rules whose cell must be asked itself
    asked: tuple[tuple[int, Tests], ...] = field(init=False)

    def __post_init__(self) -> None:
        given = self.input
        asked: list[tuple[int, Tests]] = []
        still: list[tuple[int, Tests]] = []
        for bit, cell in enumerate(self.cells):
            (still if self._in_pieces(cell) else asked).append((1 << bit, cell))
        everything = sum(bit for bit, _ in asked)
        kinds = [given.kind] if given.kind else sorted({kind for kind, _ in self._points()})
        put = object.__setattr__
        put(self, "_allowed", values.Among(given.allowed))
        put(self, "asked", tuple(asked))
        put(self, "null", _accepting(still, None) | everything if given.optional else None)
        put(self, "other", sum(bit for bit, cell in still if _takes_other_kinds(cell)) | everything)
        put(self, "pieces", tuple(self._cut(kind, still, everything) for kind in kinds if kind in _IN_PIECES))
        put(self, "_lookups", dict(self._make_lookups()))

    def _in_pieces(self, cell: Tests) -> bool:
        """Whether what the cell accepts is known without the other facts, and consists of pieces. What accepts a list
        as a whole does not."""
        whole_lists = self.input.kind in (None, Kind.LIST)
        said = [operand(test) for test in cell.any_of]
        return all(
            isinstance(one, Literal) and _is_simple(one.value) and not (whole_lists and kind_of(one.value) is Kind.LIST)
            for one in said
        )

    def _points(self) -> Iterator[tuple[Kind, Any]]:
        """Every value that a cell or the input names, with its kind."""
        named = [
            point for cell in self.cells if self._in_pieces(cell) for test in cell.any_of for point in _named(test)
        ]
        for value in [*named, *self.input.allowed]:
            for point in (value.low, value.high) if isinstance(value, Range) else (value,):
                kind = kind_of(point)
                if kind is not None and kind in _IN_PIECES:
                    yield kind, point

    def _cut(self, kind: Kind, still: Sequence[tuple[int, Tests]], everything: int) -> Pieces:
        named = [point for found, point in self._points() if found is kind]
        if kind is Kind.BOOLEAN:
            named = [False, True]
        points = tuple(_sorted(named))
        masks = [everything] * (2 * len(points) + 1)
        # A cell accepts few stretches: what is noted is where one begins or ends, not each of its pieces.
        turns = [0] * (len(masks) + 1)
        for bit, cell in still:
            accepted = _accepted(cell, points)
            edges = accepted ^ accepted << 1
            while edges:
                edge = edges & -edges
                turns[edge.bit_length() - 1] ^= bit
                edges ^= edge
        accepting = 0
        for piece in range(len(masks)):
            accepting ^= turns[piece]
            masks[piece] |= accepting
        only_points = self._has_points_alone(kind)
        allowed = {index for index, point in enumerate(points) if not self.input.allowed or self._allows(point)}
        real = [
            piece // 2 in allowed if piece % 2 else not only_points and self._has_values(kind, points, piece // 2)
            for piece in range(len(masks))
        ]
        return Pieces(kind, points, tuple(masks), tuple(real))

    def _has_points_alone(self, kind: Kind) -> bool:
        """Whether all values are points: only then is nothing between them."""
        allowed = self.input.allowed
        return kind is Kind.BOOLEAN or (bool(allowed) and not any(isinstance(one, Range) for one in allowed))

    def _has_values(self, kind: Kind, points: Sequence[Any], before: int) -> bool:
        """Whether there is a value that is allowed in the stretch before a point."""
        if not points:
            return True
        low = points[before - 1] if before else None
        high = points[before] if before < len(points) else None
        found = between(kind, low, high, whole=self.input.whole)
        return found is not None and (not self.input.allowed or self._allows(found))

    def _make_lookups(self) -> Iterator[tuple[type, _Lookup]]:
        for one in self.pieces:
            points = {point: one.masks[2 * k + 1] for k, point in enumerate(one.points) if one.real[2 * k + 1]}
            only_points = self._has_points_alone(one.kind)
            lookup = _Lookup(points, one.points, None if only_points else self._stretches(one))
            for type_ in _TYPES[one.kind]:
                yield type_, lookup
            if one.kind in _READ and self.input.kind is one.kind:
                yield str, _Lookup({}, (), None, _READ[one.kind])
        if self.null is not None:
            yield type(None), _Lookup({None: self.null}, (), None)

    def _stretches(self, one: Pieces) -> tuple[int | None, ...]:
        """The masks of the stretches; None where no value is allowed. The ends of the input's ranges are points, so a
        stretch is allowed as a whole or not at all."""
        masks, real = one.masks[::2], one.real[::2]
        if not self.input.allowed:
            return masks
        return tuple(mask if known else None for mask, known in zip(masks, real, strict=True))

    def _allows(self, value: Any) -> bool:
        among: values.Among = self._allowed  # type: ignore[attr-defined]
        return among.has(value)

    def mask(self, facts: Facts) -> int:
        """The rules whose cell accepts what the facts say. Raises BadFact."""
        path = self.input.path
        value = facts.get(path[0]) if len(path) == 1 else look_up(path, facts)
        lookup: _Lookup | None = self._lookups.get(type(value))  # type: ignore[attr-defined]
        if lookup is None:
            found = self._unusual(value)
        else:
            known = lookup.points.get(value)
            if known is not None:
                found = known
            elif lookup.read is not None:
                value = self._read(str(value), lookup.read)
                found = self._between_points(value, self._lookup_of(value))
            else:
                found = self._between_points(value, lookup)
        for bit, cell in self.asked:
            if found & bit and passes(cell, value, facts) is not True:
                found &= ~bit
        return found

    def _lookup_of(self, value: Any) -> _Lookup:
        lookup: _Lookup | None = self._lookups.get(type(value))  # type: ignore[attr-defined]
        if lookup is None or lookup.read is not None:
            raise BadFact(f"{shown(value)} is not a {self.input.kind}")
        return lookup

    def _between_points(self, value: Any, lookup: _Lookup) -> int:
        known = lookup.points.get(value)
        if known is not None:
            return known
        if lookup.stretches is None:
            raise BadFact(f"{shown(value)} is not {self._named()}")
        if value != value:
            raise BadFact("NaN is not a number")
        if self.input.whole and value % 1:
            raise BadFact(f"{shown(value)} is not a whole number")
        try:
            found = lookup.stretches[bisect_left(lookup.bounds, value)]
        except TypeError:  # a time with a zone where the cells' have none, or the reverse
            if self.input.allowed:
                raise BadFact(f"{shown(value)} is not {self._named()}") from None
            return self.other
        if found is None:
            raise BadFact(f"{shown(value)} is not {self._named()}")
        return found

    def _read(self, text: str, read: Callable[[str], Any]) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise BadFact(f"{text[:80]!r}: {error}") from None

    def _unusual(self, value: Any) -> int:
        """The mask of a value of a kind that no piece is of."""
        if value is None:
            raise BadFact("is missing")
        wanted, kind = self.input.kind, kind_of(value)
        if (wanted is not None and kind is not wanted) or kind is None or kind is Kind.RANGE:
            raise BadFact(f"must be a {wanted or 'value of FEEL'}, not a {kind or type(value).__name__}")
        if self.input.allowed and not self._allows(value):
            raise BadFact(f"is not {self._named()}")
        return self.other

    def _named(self) -> str:
        listed = self.input.allowed or tuple(point for one in self.pieces for point in one.points)
        text = ", ".join(shown(one) for one in listed[:20])
        return text if len(listed) == 1 and isinstance(listed[0], Range) else f"one of {text}"


def shown(value: Any) -> str:
    """The value, as a message names it."""
    text = values.written(value)
    return text if len(text) <= 100 else f"{text[:99]}…"


def between(kind: Kind, low: Any, high: Any, *, whole: bool = False) -> Any:
    """A value between two (None: no end there), both left out; None if there is none."""
    try:
        match kind:
            case Kind.NUMBER:
                return _number_between(low, high, whole)
            case Kind.STRING:
                if low is None:
                    return "" if high else None
                found = low + ("\0" if high is not None else "z")
                return found if high is None or found < high else None
            case Kind.DATE:
                return _step(low, high, timedelta(days=1))
            case Kind.DATE_TIME:
                return _halfway(low, high, timedelta(days=1), timedelta(microseconds=1))
            case Kind.DAYS:
                return _halfway(low, high, timedelta(days=1), timedelta(microseconds=1))
            case Kind.MONTHS:
                found = _number_between(low and low.number, high and high.number, True)
                return None if found is None else Months(found)
            case Kind.TIME:
                return _time_between(low, high)
    except (OverflowError, TypeError):
        return None
    return None


def _number_between(low: Any, high: Any, whole: bool) -> Any:
    if low is None:
        return -1 if high is None else (-(-high // 1) - 1 if whole else high - 1)
    if high is None:
        return low // 1 + 1 if whole else low + 1
    if whole:
        found = low // 1 + 1
        return int(found) if found < high else None
    return values.number(str((Decimal(str(low)) + Decimal(str(high))) / 2))


def _step(low: Any, high: Any, step: Any) -> Any:
    found = low + step if low is not None else high - step
    return found if high is None or found < high else None


def _halfway(low: Any, high: Any, step: Any, least: Any) -> Any:
    if low is None or high is None:
        return _step(low, high, step)
    return low + (high - low) / 2 if high - low > least else None


def _time_between(low: time | None, high: time | None) -> time | None:
    zone = (low or high).tzinfo if low or high else None  # type: ignore[union-attr]
    first = _micros(low) + 1 if low is not None else 0
    last = _micros(high) - 1 if high is not None else 86_400_000_000 - 1
    if first > last:
        return None
    return (datetime(1, 1, 1, tzinfo=zone) + timedelta(microseconds=(first + last) // 2)).timetz()


def _micros(at: time) -> int:
    return ((at.hour * 60 + at.minute) * 60 + at.second) * 1_000_000 + at.microsecond


# --- what a cell accepts, in pieces -----------------------------------------------------------------------


def operand(test: Test) -> Any:
    return test.operand if isinstance(test, Compare) else test


def _is_simple(value: Any) -> bool:
    kind = kind_of(value)
    if kind is Kind.RANGE:
        return kind_of(value.low) in ORDERED and kind_of(value.low) is kind_of(value.high)
    if kind is Kind.LIST:
        return all(kind_of(one) is not Kind.LIST and _is_simple(one) for one in value)
    return value is None or kind in _IN_PIECES


def _named(test: Test) -> Iterator[Any]:
    value = operand(test).value
    for one in value if kind_of(value) is Kind.LIST else (value,):
        if isinstance(one, Range):
            yield from (one.low, one.high)
        elif one is not None:
            yield one


def _sorted(named: Sequence[Any]) -> list[Any]:
    """Without doubles, in ascending order."""
    found: list[Any] = []
    for one in sorted(named, key=cmp_to_key(_order)):
        if not found or found[-1] != one:
            found.append(one)
    return found


def _order(one: Any, other: Any) -> int:
    return -1 if one < other else 1 if other < one else 0


def _accepting(cells: Sequence[tuple[int, Tests]], value: Any) -> int:
    return sum(bit for bit, cell in cells if passes(cell, value, {}) is True)


def _takes_other_kinds(cell: Tests) -> bool:
    """Whether the cell accepts a value of a kind that no cell speaks of. One that names values does not: what cannot be
    compared is null, and null is not true. Only a list has it or has it not: Note [Lists] in `testing`."""
    if not cell.any_of:
        return True
    said = [_says_of_other_kinds(test) for test in cell.any_of]
    return all(one is False for one in said) if cell.negated else True in said


def _says_of_other_kinds(test: Test) -> bool | None:
    """What a test is for a value of a kind that it does not speak of: such a value is not null, and in no list."""
    value = operand(test).value
    if isinstance(test, Compare):
        return {"=": False, "!=": True}.get(test.operator) if value is None else None
    if kind_of(value) is Kind.LIST:
        return None if any(isinstance(one, Range) for one in value) else False
    return False if value is None else None


def _accepted(cell: Tests, points: Sequence[Any]) -> int:
    """The pieces of one kind that a cell accepts, as bits."""
    whole = (1 << 2 * len(points) + 1) - 1
    if not cell.any_of:
        return whole
    found, sure = 0, True
    for test in cell.any_of:
        bits, known = _bits(test, points)
        found, sure = found | bits, sure and known
    if not cell.negated:
        return found
    # Where one test is null, the cell is null or false, and its negation is not true.
    return whole & ~found if sure else 0


def _bits(test: Test, points: Sequence[Any]) -> tuple[int, bool]:
    """The pieces for which one test is true, and whether it is false for all others: it is null for values of other
    kinds than it speaks of."""
    value = operand(test).value
    whole = (1 << 2 * len(points) + 1) - 1
    if isinstance(test, Compare):
        if value is None:
            return (whole if test.operator == "!=" else 0), test.operator in ("=", "!=")
        at = _place(value, points)
        if at is None:
            return 0, False
        point = 1 << 2 * at + 1
        below = point - 1
        found = {
            "=": point, "!=": whole & ~point, "<": below, "<=": below | point, ">": whole & ~below & ~point,
            ">=": whole & ~below,
        }[test.operator]  # fmt: skip
        return found, True
    if kind_of(value) is not Kind.LIST:
        bits = _bits_of_one(value, points)
        return bits or 0, bits is not None
    found, sure = 0, True
    for one in value:
        bits = _bits_of_one(one, points)
        found, sure = found | (bits or 0), sure and (bits is not None or not isinstance(one, Range))
    return found, sure


def _bits_of_one(value: Any, points: Sequence[Any]) -> int | None:
    if value is None:
        return 0  # no other value is null
    if isinstance(value, Range):
        low, high = _place(value.low, points), _place(value.high, points)
        if low is None or high is None:
            return None
        first = 2 * low + (1 if value.closed[0] else 2)
        last = 2 * high + (1 if value.closed[1] else 0)
        return ((1 << last + 1) - 1) & ~((1 << first) - 1) if last >= first else 0
    at = _place(value, points)
    return None if at is None else 1 << 2 * at + 1


def _place(value: Any, points: Sequence[Any]) -> int | None:
    """Which of the points it is; None if it is of another kind."""
    if not points or kind_of(value) is not kind_of(points[0]):
        return None
    return bisect_left(points, value)
