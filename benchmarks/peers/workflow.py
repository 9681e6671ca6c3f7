"""W4: the workflow that every peer runs. Four trivial steps in sequence, each of which needs the one before it.

The steps do not commute, so a right answer shows that all four ran, once and in order.
"""


def double(number: int) -> int:
    return number * 2


def add(number: int) -> int:
    return number + 3


def scale(number: int) -> int:
    return number * 5


def subtract(number: int) -> int:
    return number - 7


def expected(number: int) -> int:
    """What W4 makes of `number`."""
    return subtract(scale(add(double(number))))
