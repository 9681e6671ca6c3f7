"""What is different between two versions of a decision table, in words. Plain Python."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from console.core.grid import Column, Grid, Row


@dataclass(frozen=True, slots=True)
class Change:
    """where: such as "rule urgent, when severity". before, after: as they are written; "": it was not there, is not."""

    where: str
    before: str
    after: str


def changes(before: Grid, after: Grid) -> list[Change]:
    found = [
        Change(word, one, other)
        for word, one, other in (
            ("description", before.description, after.description),
            ("hit policy", before.hit_policy, after.hit_policy),
            ("aggregation", before.aggregation, after.aggregation),
        )
        if one != other
    ]
    found += _of_columns("input", before.inputs, after.inputs)
    found += _of_columns("output", before.outputs, after.outputs)
    return [*found, *_of_rules(before, after)]


def _of_columns(word: str, before: Sequence[Column], after: Sequence[Column]) -> Iterator[Change]:
    old, new = ({one.name: one for one in columns} for columns in (before, after))
    for name in dict.fromkeys([*old, *new]):
        if name not in new:
            yield Change(f"{word} {name}", _column(old[name]), "")
        elif name not in old:
            yield Change(f"{word} {name}", "", _column(new[name]))
        elif old[name] != new[name]:
            yield Change(f"{word} {name}", _column(old[name]), _column(new[name]))
    if old.keys() == new.keys() and list(old) != list(new):
        yield Change(f"order of the {word}s", ", ".join(old), ", ".join(new))


def _column(one: Column) -> str:
    parts = [one.type or "any type", one.values, "optional" if one.optional else "", one.label]
    return " · ".join(part for part in [*parts, f"default {one.default}" if one.default else ""] if part)


def _of_rules(before: Grid, after: Grid) -> Iterator[Change]:
    """Rules are the same by their ids; those without one by what they say."""
    old, new = ([_key(grid, row) for row in grid.rows] for grid in (before, after))
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            for at, other in zip(range(a, b), range(c, d), strict=True):
                yield from _of_rule(before, at, after, other)
            continue
        for at in range(a, b):
            if old[at] not in new:
                yield Change(f"rule {before.name_of(at)}", _rule(before, before.rows[at]), "")
        for at in range(c, d):
            if new[at] not in old:
                yield Change(f"rule {after.name_of(at)}", "", _rule(after, after.rows[at]))
            else:
                place = old.index(new[at])
                yield Change(f"place of rule {after.name_of(at)}", str(place + 1), str(at + 1))
                yield from _of_rule(before, place, after, at)


def _key(grid: Grid, row: Row) -> str:
    return f"id {row.id}" if row.id else f"says {_rule(grid, row)}"


def _cells(grid: Grid, row: Row) -> dict[str, str]:
    when = {f"when {one.name}": cell for one, cell in zip(grid.inputs, row.when, strict=True)}
    then = {f"then {one.name}": cell for one, cell in zip(grid.outputs, row.then, strict=True)}
    return {**when, **then, "note": row.note}


def _of_rule(before: Grid, at: int, after: Grid, other: int) -> Iterator[Change]:
    old, new = _cells(before, before.rows[at]), _cells(after, after.rows[other])
    for name, two in new.items():  # a column that is gone is said once
        one = old.get(name, "")
        if one != two:
            yield Change(f"rule {after.name_of(other)}, {name}", one or "-", two or "-")


def _rule(grid: Grid, row: Row) -> str:
    return ", ".join(f"{name} {cell}" for name, cell in _cells(grid, row).items() if cell)
