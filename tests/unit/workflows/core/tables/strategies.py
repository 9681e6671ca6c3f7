"""Random tables and facts, small enough for every case to be tried."""

from itertools import product
from typing import Any

from hypothesis import strategies as st

from workflows.core.tables.document import read
from workflows.core.tables.table import Table

NUMBERS = [-1, 0, 1, 1.5, 2, 3]
#: more than the cells name: what lies before, between and after
FACTS: dict[str, list[Any]] = {
    "n": [-2, -1, -0.5, 0, 0.5, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4],
    "w": [-2, -1, 0, 1, 2, 3, 4],
    "s": ["a", "b", "c"],
    "t": ["", "a", "aa", "b", "bb", "c", "d"],
    "f": [False, True],
    "d": ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02", "2026-03-03", "2026-03-05"],
    "m": [None, -2, -1, -0.5, 0, 0.5, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4],
}
INPUTS: dict[str, dict[str, Any]] = {
    "n": {"name": "n", "type": "number"},
    "w": {"name": "w", "type": "integer"},
    "s": {"name": "s", "type": "string", "values": ["a", "b", "c"]},
    "t": {"name": "t", "type": "string"},
    "f": {"name": "f", "type": "boolean"},
    "d": {"name": "d", "type": "date"},
    "m": {"name": "m", "type": "number", "optional": True},
}
_POINTS = {
    "n": [str(one) for one in NUMBERS],
    "w": ["-1", "0", "1", "2", "3"],
    "m": [str(one) for one in NUMBERS],
    "s": ['"a"', '"b"', '"c"'],
    "t": ['"a"', '"b"', '"c"'],
    "f": ["true", "false"],
    "d": ['date("2026-02-28")', '@"2026-03-01"', 'date("2026-03-03")'],
}


@st.composite
def cells(draw: st.DrawFn, name: str) -> str:
    points = st.sampled_from(_POINTS[name])
    if draw(st.booleans()) and draw(st.booleans()):
        return "-"
    if name == "f":
        return draw(points)
    operators = st.sampled_from(["<", "<=", ">", ">=", "=", "!="])
    one = st.one_of(
        points,
        st.builds("{} {}".format, operators, points),
        st.builds(
            "{}{}..{}{}".format, st.sampled_from(["[", "(", "]"]), points, points, st.sampled_from(["]", ")", "["])
        ),
        st.builds("[{}, {}]".format, points, points),
        *([st.sampled_from(["null", "!= null"])] if name == "m" else []),
    )
    listed = ", ".join(draw(st.lists(one, min_size=1, max_size=2)))
    return f"not({listed})" if draw(st.sampled_from([True, False, False])) else listed


@st.composite
def documents(draw: st.DrawFn, policy: str) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(sorted(INPUTS)), min_size=1, max_size=2, unique=True))
    rules = draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "when": st.fixed_dictionaries({name: cells(name) for name in names}),
                    "then": st.fixed_dictionaries({"out": st.sampled_from(['"x"', '"y"', '"z"'])}),
                }
            ),
            min_size=1,
            max_size=5,
        )
    )
    return {
        "inputs": [INPUTS[name] for name in names],
        "outputs": [{"name": "out", "values": ["z", "x", "y"]}],
        "hit_policy": policy,
        "rules": rules,
    }


def all_facts(table: Table) -> list[dict[str, Any]]:
    """A fact of every kind that the cells can tell apart."""
    names = [one.name for one in table.inputs]
    return [dict(zip(names, case, strict=True)) for case in product(*(FACTS[name] for name in names))]


def table_of(document: dict[str, Any]) -> Table:
    return read(document)
