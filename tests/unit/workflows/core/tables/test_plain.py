"""What a decision says, as JSON."""

from decimal import Decimal
from typing import Any

import pytest

from erip.foundation import json_values
from workflows.core.tables.feel import read_expression
from workflows.core.tables.plain import plain
from workflows.core.tables.testing import evaluate


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("null", None), ("true", True), ("5", 5), ("0.1", 0.1), ("1e300", 1e300), ("10000000000000000000000", 1e22),
        ("0.12345678901234567890123", 0.12345678901234568), ('"a \\"b\\""', 'a "b"'), ('"\\u0000"', "␀"),
        ('date("2026-12-24")', "2026-12-24"), ('time("16:00:00Z")', "16:00:00Z"),
        ('date and time("2026-12-24T16:00:00+01:00")', "2026-12-24T16:00:00+01:00"), ('duration("P1DT2H")', "P1DT2H"),
        ('duration("-PT90M")', "-PT1H30M"), ('duration("P1Y6M")', "P1Y6M"), ('[1, "a", [@"PT1H"]]', [1, "a", ["PT1H"]]),
        ('{a: @"2026-01-01", b c: 1}', {"a": "2026-01-01", "b c": 1}), ("[1..5)", "[1..5)"),
    ],
)  # fmt: skip
def test_each_kind_of_value_becomes_json_that_can_be_stored(cell: str, value: Any) -> None:
    found = plain(evaluate(read_expression(cell), {}))
    assert found == value
    assert type(found) is type(value)
    assert json_values.load(json_values.dump(found)) == value


def test_a_number_beyond_all_doubles_is_its_digits() -> None:
    assert plain(Decimal("1e400")) == "1E+400"
