"""What an expression may cost, judged before it is evaluated.

Note [Why CEL is guarded]
CEL runs to its end in one uninterruptible call that holds the interpreter's lock, so an expression that takes ten
seconds stops every step, heartbeat and health check of its process for ten seconds. Measured with the library that we
use, on inputs under 64 KB:

- a list is copied, item by item, by `a.b`, by `a + a` and by `[a]`: `x.exists(i, size(b.a) == 2)` over 20,000 items
  took 13 s and `a + a + ...` with 300 terms was killed for its memory;
- nested `map` and `exists` multiply their sizes;
- a regular expression is compiled again at every call, and matched in (length of text) x (size of pattern).

So: the source is short, `map` and `filter` are refused, one comprehension at most, a path is resolved by us and handed
over as a variable (which CEL reads without copying), a pattern is a literal, and the rest is bounded by `units` below.
A unit is about 5 ns, so an expression within BUDGET holds the lock for about 0.1 s at the very most; ordinary ones
take microseconds.

Note [Budgets]
A bound on one expression does not bound 10,000 of them: a `foreach` evaluates its expressions for each item, a bulk
start for each input. So a `Budget` pays for what expressions do and for the bytes that they give. Each decision on a
run has one, and so has each event that rules are asked about. It travels with the context under BUDGET_KEY, which no
expression can read. What was spent adds up (`units`, `bytes`), so that those who make many decisions in one go can
stop.
Bytes are counted while a value is put together, before anything is copied: an existing value that is put in 500 places
takes no memory until it is written, and then 500 times as much.
"""

import re
from dataclasses import dataclass
from typing import Any

import orjson

from erip.foundation.json_values import MAX_DEPTH, MAX_DEPTH_INSIDE

MAX_CONTEXT = 64 * 1024
BUDGET = 20_000_000
#: atoms of a pattern once its counted repetitions are written out
MAX_PATTERN = 200

#: what all expressions of one decision may do, in units: 0.5 s at the very most
DECISION_UNITS = 100_000_000
#: bytes of one value that expressions give, as JSON, and of all that one decision gives
MAX_VALUE_BYTES, MAX_DECISION_BYTES = 16 * 1024 * 1024, 32 * 1024 * 1024
#: levels of a value that an expression gives: with those of the template around it, it can still be written
MAX_VALUE_DEPTH = MAX_DEPTH_INSIDE - MAX_DEPTH - 2
#: errors of one decision that suggest near keys, which takes a millisecond
_HINTS = 20
#: the key of a context's budget
BUDGET_KEY = "\0budget"

#: characters of a text that is as good as nothing
_SMALL = 200
_COPIES = 10  # a copied node costs about as much as ten compared ones


class TooCostly(ValueError):
    """The expression would take too long, or reads too much; the message says which."""


class BudgetSpent(TooCostly):
    """All expressions together are too much, not this one alone."""


class Budget:
    """What a decision has left, and what was spent in all. Not safe for several threads at once."""

    __slots__ = ("_bytes", "_hints", "_sizes", "_units", "_value", "bytes", "units")

    def __init__(self) -> None:
        #: spent in all
        self.units = self.bytes = 0
        self._units, self._bytes, self._hints = DECISION_UNITS, MAX_DECISION_BYTES, _HINTS
        self._value = MAX_VALUE_BYTES
        #: measured values by id; they are kept so that no other value gets the same id
        self._sizes: dict[int, tuple[Any, int]] = {}

    def renew(self) -> None:
        """The next decision begins."""
        self._units, self._bytes, self._hints = DECISION_UNITS, MAX_DECISION_BYTES, _HINTS
        self._value = MAX_VALUE_BYTES
        if self._sizes:
            self._sizes = {}

    def work(self, units: int) -> None:
        """Charge for what an expression is about to do. Raises BudgetSpent."""
        self.units += units
        self._units -= units
        if self._units < 0:
            raise BudgetSpent("all expressions of this decision together would take too long; do it in steps")

    def begin_value(self, size: int) -> None:
        """Begin a value whose template alone has `size` bytes."""
        self._value = MAX_VALUE_BYTES
        self._take(size)

    def give(self, value: Any) -> None:
        """Count what an expression gives as a part of the value. Raises TooCostly.

        A number, a boolean or null costs nothing here: it is hardly longer than the expression that gave it, which
        `begin_value` counted.
        """
        kind = type(value)
        if kind is str:
            # One character may become six (a control character), but most are one byte.
            self._take(len(value) if value.isascii() and value.isprintable() else len(pack(value)))
        elif kind is dict or kind is list:
            self._take(self._size(value))

    def _size(self, value: Any) -> int:
        known = self._sizes.get(id(value))
        if known is None:
            text = pack(value)
            # A value has at least as many brackets as levels, and few values have enough of them to be too deep.
            if text.count(b"[") + text.count(b"{") > MAX_VALUE_DEPTH and _deeper_than(value, MAX_VALUE_DEPTH):
                raise TooCostly(f"it gives a value that is nested more than {MAX_VALUE_DEPTH} deep")
            known = self._sizes[id(value)] = (value, len(text))
        return known[1]

    def _take(self, size: int) -> None:
        self.bytes += size
        self._value -= size
        self._bytes -= size
        if self._value < 0:
            raise TooCostly(f"the value would have more than {MAX_VALUE_BYTES:,} bytes; {_REFERENCES}")
        if self._bytes < 0:
            much = f"all values of this decision together would have more than {MAX_DECISION_BYTES:,} bytes"
            raise BudgetSpent(f"{much}; {_REFERENCES}")

    def hint(self) -> bool:
        """Whether there is time to look for near keys."""
        self._hints -= 1
        return self._hints >= 0


#: what a budget need not be asked about: see `Budget.give`
FREE: frozenset[type] = frozenset((int, float, bool, type(None)))

_REFERENCES = "hand on references in place of data"


def _deeper_than(value: Any, levels: int) -> bool:
    level = [value]
    for _ in range(levels):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


@dataclass(frozen=True, slots=True)
class Work:
    """What part of an expression does each time it is gone through."""

    tokens: int = 0
    #: values of the context that it reads
    reads: int = 0
    #: `+`: each copies all that the ones before it built, so they count squared
    pluses: int = 0
    #: other tokens that may copy a value: `[`, `{`, `.` on a computed value, an entry of a list or object
    copies: int = 0
    #: size of its patterns, to compile and to match
    to_compile: int = 0
    to_match: int = 0

    def units(self, nodes: int, size: int, touches: int) -> int:
        """The cost of one pass over data with this many values and bytes, of which it visits all this many times."""
        per_node = touches + _COPIES * (self.copies + self.pluses * self.pluses)
        return 10 * self.tokens + per_node * nodes + 1_500 * self.to_compile + 2 * self.to_match * size


@dataclass(frozen=True, slots=True)
class Cost:
    """outside: the expression without what it repeats; inside: the body of its exists/all, if it has one."""

    outside: Work
    inside: Work | None
    #: items that the source itself can add to what is gone through
    literals: int

    def check_alone(self) -> None:
        """Raise TooCostly if the expression is too much even for the smallest data."""
        if self._units((64, 1, 4_096), (64, 4_096)) > BUDGET:
            raise TooCostly("it is too costly: its patterns or its chain of + are too long")

    def check(self, values: list[Any], inner: list[Any]) -> int:
        """How many units it takes, at most. Raises TooCostly unless the expression may be evaluated.

        values: all that it reads; inner: those of them that the body of its exists/all reads.
        """
        if all(map(_small, values)):
            count = len(values)
            return self._units((count, 1, _SMALL * count), (count, _SMALL * count))
        packed = pack(values)
        size = len(packed)
        if size > MAX_CONTEXT:
            raise TooCostly(f"it reads {size:,} bytes of data; an expression may read {MAX_CONTEXT:,}")
        # Commas in strings count too, so this is an upper estimate. We count exactly only if the estimate is too high.
        commas = packed.count(b",") + 1
        inner_packed = pack(inner) if inner else b""
        inner_size = len(inner_packed)
        estimate = self._units((commas, commas, size), (inner_packed.count(b",") + 1, inner_size))
        if estimate > BUDGET:
            (nodes, longest), (inner_nodes, _) = measure(values), measure(inner)
            estimate = self._units((nodes, longest, size), (inner_nodes, inner_size))
            if estimate > BUDGET:
                raise TooCostly(
                    f"it would go through too much data ({longest:,} items, {size:,} bytes); do it in a step"
                )
        return estimate

    def _units(self, data: tuple[int, int, int], inner: tuple[int, int]) -> int:
        nodes, longest, size = data
        weight = nodes + size // 16
        units = self.outside.units(weight, size, self.outside.reads)
        if self.inside is not None:
            # What is gone through can be made larger first: `(a + a).exists(...)`, `[a, a].exists(...)`.
            grown = 1 + self.outside.pluses + self.outside.copies
            rounds = longest * grown + self.literals
            inner_nodes, inner_size = inner
            # All items together are no more than the data, so one pass for every token of the body is plenty.
            units += grown * self.inside.units(weight, size, self.inside.tokens)
            units += rounds * self.inside.units(inner_nodes + inner_size // 16, inner_size, self.inside.reads)
        return units


def _small(value: Any) -> bool:
    kind = type(value)
    if kind is int:
        return bool(-(2**63) <= value < 2**64)
    return kind is bool or kind is float or value is None or (kind is str and len(value) <= _SMALL)


def pack(value: Any) -> bytes:
    """`value` as JSON text; raises TooCostly where CEL must not see it (too deep, huge integers, not JSON)."""
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError) as error:  # orjson's own error is a TypeError
        reason = str(error)
        if "ecursion" in reason:
            reason = "nested too deeply"
        elif "nteger" in reason:
            reason = "an integer beyond 64 bits"
        raise TooCostly(f"it reads data that is not plain JSON: {reason}") from error


def measure(value: Any) -> tuple[int, int]:
    """(number of values in `value`, number of items of its longest list or object)."""
    nodes, longest, todo = 0, 0, [value]
    while todo:
        item = todo.pop()
        nodes += 1
        if isinstance(item, dict):
            longest = max(longest, len(item))
            nodes += len(item)
            todo.extend(item.values())
        elif isinstance(item, list):
            longest = max(longest, len(item))
            todo.extend(item)
    return nodes, longest


_PATTERN_PART = re.compile(
    r"""
      (?P<wide>   \\[pP](?:\{[^}]*\}|.) | \\[wWdDsSbB] | \. )
    | (?P<escape> \\. )
    | (?P<class>  \[\^?\]?(?:\\.|\[:[^]]*:\]|[^]\\])*\] )
    | (?P<count>  \{(?P<low>[0-9]+)(?P<to>,(?P<high>[0-9]*))?\} )
    | (?P<open>   \( ) | (?P<close> \) )
    | (?P<mark>   [*+?|^$] )
    | (?P<char>   . )
    """,
    re.VERBOSE | re.DOTALL,
)


def pattern_cost(pattern: str) -> tuple[int, int]:
    """(atoms to compile, atoms to match) of a regular expression, with `x{10}` counted as ten and `\\w`, `.` as large.

    It deliberately overestimates odd patterns: it computes a bound, it does not parse.
    """
    stack, last = [[0, 0]], [0, 0]
    for part in _PATTERN_PART.finditer(pattern):
        kind = part.lastgroup
        if part["open"]:
            stack.append([0, 0])
            last = [0, 0]
            continue
        if part["close"]:
            last = stack.pop() if len(stack) > 1 else last
            if len(stack) and last:
                stack[-1] = [a + b for a, b in zip(stack[-1], last, strict=True)]
            continue
        if part["count"]:
            times = max(int(part["high"] or part["low"]), int(part["low"]), 1)
            more = [amount * (times - 1) for amount in last]
            stack[-1] = [a + b for a, b in zip(stack[-1], more, strict=True)]
            last = [a + b for a, b in zip(last, more, strict=True)]
            continue
        if kind == "mark":
            continue
        wide = bool(part["wide"]) or (bool(part["class"]) and ("\\" in part["class"] or "^" in part["class"]))
        last = [50 if wide else 1, 1]
        stack[-1] = [a + b for a, b in zip(stack[-1], last, strict=True)]
    while len(stack) > 1:
        top = stack.pop()
        stack[-1] = [a + b for a, b in zip(stack[-1], top, strict=True)]
    return stack[0][0], stack[0][1]
