"""Which cases no rule decides, which rules clash, and which are never reached: exact, from the masks that decide.

Note [Boxes]
A rule accepts some pieces of each input (Note [Masks]): a box. Two rules overlap if they share a piece of every input,
so pairs are found without looking at cases. A gap is found by going down the inputs, one group of pieces after
another, with the rules that still match: where none is left, all that the remaining inputs may be is a gap. Groups that
leave the same rules have the same gaps below them, so each is looked at once. Rules whose cells refer to other facts
are not known beforehand: they are taken to accept nothing when gaps are looked for, and all when clashes are, and are
named.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from workflows.core.tables import values
from workflows.core.tables.columns import Column, Pieces, between
from workflows.core.tables.table import Policy, Table
from workflows.core.tables.values import Kind

#: gaps and clashes that are listed, and groups of pieces that are looked at in search of gaps, of clashes and
#: of rules that are never reached, before a search gives up: each takes a second at most
MOST: Final = 200
STEPS: Final = 1_000_000
#: parts of a case that are written for one input
PARTS: Final = 40


@dataclass(frozen=True, slots=True)
class Case:
    """A part of all cases. tests: what each input is in it, as FEEL writes it, by name; "-" where it may be anything.
    example: facts that lie in it, by name."""

    tests: dict[str, str]
    example: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Clash:
    """Rules (by id) that both match some case, though the hit policy does not allow it, or not with what they say."""

    first: str
    second: str
    case: Case


@dataclass(frozen=True, slots=True)
class Report:
    """gaps: cases that no rule decides; unreached: rules, by id, that never make the output. unsure: rules whose cells
    refer to other facts, so that what is said here may not hold for them. is_complete: whether everything was found;
    otherwise there is more than is listed, or the table is too tangled."""

    gaps: list[Case]
    clashes: list[Clash]
    unreached: list[str]
    unsure: list[str]
    is_complete: bool


def analyse(table: Table) -> Report:
    """Takes a bounded time, whatever the table is."""
    unsure = 0
    for column in table.columns:
        for bit, _ in column.asked:
            unsure |= bit
    search = _Search(table, unsure)
    gaps = list(search.gaps())
    search.begin()
    clashes = list(islice(search.clashes(), MOST))
    search.begin()
    names = [table.rules[table.place(bit)].id for bit in range(len(table.rules)) if unsure >> bit & 1]
    unreached = search.unreached() if table.policy in (Policy.FIRST, Policy.PRIORITY) else search.empty()
    complete = search.is_complete and len(gaps) < MOST and len(clashes) < MOST
    return Report(gaps, clashes, unreached, names, complete)


@dataclass(frozen=True, slots=True)
class _Group:
    """Pieces of one input that leave the same rules. pieces: (kind's pieces, number); None stands for null."""

    mask: int
    pieces: tuple[tuple[Pieces | None, int], ...]


class _Search:
    def __init__(self, table: Table, unsure: int) -> None:
        self._table = table
        self._unsure = unsure
        self._groups = [_grouped(column) for column in table.columns]
        self._steps = 0
        self.is_complete = True
        self._tight: dict[tuple[int, int], bool] = {}

    def begin(self) -> None:
        """Another search, which may look at as much."""
        self._steps = 0

    def _looks_at(self, *groups: Sequence[_Group]) -> bool:
        """Whether these may be looked at, too."""
        self._steps += sum(map(len, groups))
        if self._steps > STEPS:
            self.is_complete = False
        return self._steps <= STEPS

    # gaps

    def gaps(self) -> Iterator[Case]:
        everything = (1 << len(self._table.rules)) - 1
        for path in islice(self._gaps(0, everything & ~self._unsure, []), MOST):
            yield self._case(path)

    def _gaps(self, at: int, mask: int, path: list[_Group]) -> Iterator[list[_Group]]:
        if not mask:
            yield list(path)
            return
        if at == len(self._groups) or not self._has_gap(at, mask) or not self._looks_at(self._groups[at]):
            return
        for group in self._groups[at]:
            yield from self._gaps(at + 1, mask & group.mask, [*path, group])

    def _has_gap(self, at: int, mask: int) -> bool:
        if not mask:
            return True
        if at == len(self._groups):
            return False
        known = self._tight.get((at, mask))
        if known is None:
            if not self._looks_at(self._groups[at]):
                return False
            known = any(self._has_gap(at + 1, mask & group.mask) for group in self._groups[at])
            self._tight[at, mask] = known
        return known

    # clashes

    def clashes(self) -> Iterator[Clash]:
        policy = self._table.policy
        if policy not in (Policy.UNIQUE, Policy.ANY):
            return
        for one in range(len(self._table.rules)):
            others = self._overlapping(one) >> one + 1
            other = one
            while others:
                step = (others & -others).bit_length()
                others >>= step
                other += step
                if policy is Policy.ANY and self._say_the_same(one, other):
                    continue
                path = self._both(1 << one | 1 << other)
                if path is None:
                    continue
                names = [self._table.rules[self._table.place(bit)].id for bit in (one, other)]
                yield Clash(names[0], names[1], self._case(path))

    def _overlapping(self, one: int) -> int:
        """The rules that share a piece of every input with this one: all pairs of it at once, for a table of a thousand
        rules has half a million."""
        found = (1 << len(self._table.rules)) - 1
        if not self._looks_at(*self._groups):
            return 0
        for groups in self._groups:
            shared = 0
            for group in groups:
                if group.mask >> one & 1:
                    shared |= group.mask
            found &= shared
        return found

    def _say_the_same(self, one: int, other: int) -> bool:
        rules = self._table.rules
        return rules[self._table.place(one)].then == rules[self._table.place(other)].then

    def _both(self, bits: int) -> list[_Group] | None:
        """The pieces of each input that all these rules accept; None if there are none."""
        path = []
        if not self._looks_at(*self._groups):
            return None
        for groups in self._groups:
            pieces = tuple(piece for group in groups if group.mask & bits == bits for piece in group.pieces)
            if not pieces:
                return None
            path.append(_Group(bits, pieces))
        return path

    # rules that are never reached

    def empty(self) -> list[str]:
        """Rules with a cell that nothing fulfils."""
        rules = range(len(self._table.rules))
        found = [
            self._table.rules[self._table.place(bit)].id
            for bit in rules
            if not self._unsure >> bit & 1 and self._both(1 << bit) is None
        ]
        return found if self._steps <= STEPS else []

    def unreached(self) -> list[str]:
        """Rules of which every case is decided by one before them."""
        found = []
        for bit in range(len(self._table.rules)):
            if self._unsure >> bit & 1:
                continue
            before = (1 << bit) - 1 & ~self._unsure
            if not self._comes_first(0, before | 1 << bit, bit, {}):
                found.append(self._table.rules[self._table.place(bit)].id)
        return found if self._steps <= STEPS else []

    def _comes_first(self, at: int, mask: int, bit: int, known: dict[tuple[int, int], bool]) -> bool:
        if not mask >> bit & 1:
            return False
        if mask == 1 << bit:
            return self._reaches(at, bit)
        if at == len(self._groups):
            return False
        found = known.get((at, mask))
        if found is None:
            if not self._looks_at(self._groups[at]):
                return True
            found = any(self._comes_first(at + 1, mask & group.mask, bit, known) for group in self._groups[at])
            known[at, mask] = found
        return found

    def _reaches(self, at: int, bit: int) -> bool:
        """Whether what is left of the inputs has a value that the rule accepts."""
        return all(any(group.mask >> bit & 1 for group in groups) for groups in self._groups[at:])

    # in words

    def _case(self, path: Sequence[_Group]) -> Case:
        tests: dict[str, str] = {}
        example: dict[str, Any] = {}
        # Twenty: what it costs to put a piece in words.
        self._steps += 20 * sum(len(group.pieces) for group in path)
        for at, column in enumerate(self._table.columns):
            name = column.input.name
            groups = self._groups[at]
            if at < len(path):
                whole = sum(len(group.pieces) for group in groups) == len(path[at].pieces)
                tests[name] = "-" if whole else _written(column, path[at].pieces)
                example[name] = _example(column, path[at].pieces)
            else:
                tests[name] = "-"
                example[name] = _example(column, groups[0].pieces) if groups else None
        return Case(tests, example)


def _grouped(column: Column) -> list[_Group]:
    """The pieces of an input, those that leave the same rules together."""
    found: dict[int, list[tuple[Pieces | None, int]]] = {}
    for pieces in column.pieces:
        for number, mask in enumerate(pieces.masks):
            if pieces.real[number]:
                found.setdefault(mask, []).append((pieces, number))
    if not column.pieces:
        # Lists, contexts, or an input of any kind of which no cell says anything.
        found.setdefault(column.other, []).append((None, 1))
    if column.null is not None:
        found.setdefault(column.null, []).append((None, 0))
    return [_Group(mask, tuple(pieces)) for mask, pieces in found.items()]


def _written(column: Column, pieces: Sequence[tuple[Pieces | None, int]]) -> str:
    """The pieces as unary tests; neighbours become one range, and words come in the order of the input's values."""
    parts: list[str] = []
    nothing: list[str] = []
    by_kind: dict[int, tuple[Pieces, list[int]]] = {}
    for of, number in pieces:
        if of is None:
            nothing.append("null" if number == 0 else "-")
        else:
            by_kind.setdefault(id(of), (of, []))[1].append(number)
    for of, numbers in by_kind.values():
        numbers.sort(key=lambda number: _order(column, of, number))
        start = 0
        for at in range(1, len(numbers) + 1):
            if at == len(numbers) or not _are_neighbours(of, numbers[at - 1], numbers[at]):
                parts.append(_stretch(of, numbers[start], numbers[at - 1]))
                start = at
    if len(parts) > PARTS:
        parts = [*parts[:PARTS], f"… ({len(parts) - PARTS:,} more)"]
    return ", ".join([*parts, *nothing])


def _order(column: Column, of: Pieces, number: int) -> int:
    if of.kind is Kind.STRING and number % 2 and of.points[number // 2] in column.input.allowed:
        return column.input.allowed.index(of.points[number // 2])
    return number


def _are_neighbours(of: Pieces, one: int, other: int) -> bool:
    return of.kind is not Kind.BOOLEAN and not any(of.real[number] for number in range(one + 1, other)) and any(
        of.real[::2]
    )  # fmt: skip


def _stretch(of: Pieces, first: int, last: int) -> str:
    points = of.points
    if first == last and first % 2:
        return values.written(points[first // 2])
    if not points:
        return "-"
    low = points[first // 2] if first % 2 else points[first // 2 - 1] if first else None
    high = points[last // 2] if last % 2 or last // 2 < len(points) else None
    if low is None and high is None:
        return "-"
    if low is None:
        return f"{'<=' if last % 2 else '<'} {values.written(high)}"
    if high is None:
        return f"{'>=' if first % 2 else '>'} {values.written(low)}"
    return f"{'[' if first % 2 else '('}{values.written(low)}..{values.written(high)}{']' if last % 2 else ')'}"


def _example(column: Column, pieces: Sequence[tuple[Pieces | None, int]]) -> Any:
    for of, number in pieces:
        if of is None:
            continue
        if number % 2:
            return of.points[number // 2]
        low = of.points[number // 2 - 1] if number else None
        high = of.points[number // 2] if number // 2 < len(of.points) else None
        if not of.points:
            return _ANY_OF[of.kind]
        found = between(of.kind, low, high, whole=column.input.whole)
        if found is not None:
            return found
    return None


_ANY_OF: Final[dict[Kind, Any]] = {
    Kind.NUMBER: 0, Kind.STRING: "", Kind.BOOLEAN: False, Kind.DATE: values.read_date("2026-01-01"),
    Kind.TIME: values.read_time("12:00:00"), Kind.DATE_TIME: values.read_date_time("2026-01-01T12:00:00"),
    Kind.DAYS: values.read_duration("P1D"), Kind.MONTHS: values.read_duration("P1M"),
}  # fmt: skip
