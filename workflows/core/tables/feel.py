"""Reads the text of a cell: unary tests, and the expressions in them.

The part of FEEL that tables use (DMN 1.5, 9.1 and 10.3.1): literals of every kind, `date("…")` and its like, `@"…"`,
paths of names (also names with spaces), lists, contexts, ranges, comparisons, `not(…)`, `… in …`. Arithmetic,
functions, `if`, `for` and `some` are not part of it, and are refused by name.
"""

import re
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from workflows.core.tables import values
from workflows.core.tables.values import Range

#: characters of one cell, and levels of lists and contexts in it
MAX_CELL: Final = 4_000
MAX_DEPTH: Final = 20


class FeelError(ValueError):
    """The text cannot be read; the message says where and why."""


# --- what a text means ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Literal:
    value: Any


@dataclass(frozen=True, slots=True)
class Path:
    """A fact, or a part of one."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    items: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class ContextOf:
    items: tuple[tuple[str, "Expression"], ...]


@dataclass(frozen=True, slots=True)
class RangeOf:
    low: "Expression"
    high: "Expression"
    closed: tuple[bool, bool]


@dataclass(frozen=True, slots=True)
class Compare:
    """The value that is tested compared with another one. operator: < <= > >= = !="""

    operator: str
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class In:
    value: "Expression"
    tests: tuple["Test", ...]


@dataclass(frozen=True, slots=True)
class Tests:
    """What a cell says: it accepts what passes one of the tests, or (`negated`) none. No tests: it accepts all."""

    any_of: tuple["Test", ...] = ()
    negated: bool = False


Expression = Literal | Path | ListOf | ContextOf | RangeOf | In
Test = Expression | Compare

ANY: Final = Tests()


def read_tests(text: str) -> Tests:
    """Of a cell of a rule. Raises FeelError."""
    if text.strip() in ("-", ""):
        return ANY
    reader = _Reader(text)
    if reader.takes("not", "("):
        tests = reader.tests_until(")")
        reader.ends()
        return Tests(tests, negated=True)
    found = [reader.test()]
    while reader.takes(","):
        found.append(reader.test())
    reader.ends()
    return Tests(tuple(found))


def read_expression(text: str) -> Expression:
    """Of an output cell, or of a table's input. Raises FeelError."""
    reader = _Reader(text)
    found = reader.expression()
    reader.ends()
    return found


# --- tokens -----------------------------------------------------------------------------------------------


class _Token(NamedTuple):
    kind: str  # number, string, name, sign, end
    text: str
    at: int


_TOKEN: Final = re.compile(
    r"""(?P<space>[\s\u00a0]+|//[^\n]*|/\*.*?\*/)
      | (?P<number>\d+(?:\.(?!\.)\d+)?(?:[eE][-+]?\d+)?|\.(?!\.)\d+)
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<name>[^\W\d][\w']*)
      | (?P<sign>\.\.|<=|>=|!=|\*\*|[-+*/<>=()\[\]{},:.@?])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{6})|(.))", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "'": "'", "\\": "\\"}
_OPERATORS: Final = ("<=", ">=", "!=", "<", ">", "=")
#: words that begin what is not part of this language, or that join it
_REFUSED: Final = frozenset({"if", "for", "some", "every", "function", "instance", "between", "and", "or"})
_CALLS: Final[dict[str, Any]] = {
    "date": values.read_date,
    "time": values.read_time,
    "date and time": values.read_date_time,
    "duration": values.read_duration,
}


def _tokens(text: str) -> list[_Token]:
    if len(text) > MAX_CELL:
        raise FeelError(f"a cell has at most {MAX_CELL:,} characters")
    found: list[_Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise FeelError(f"cannot read {text[at]!r} (character {at + 1})")
        if match.lastgroup != "space":
            found.append(_Token(str(match.lastgroup), match[0], at))
        at = match.end()
    return [*found, _Token("end", "", len(text))]


def _unescaped(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        code = match[1] or match[2]
        if code:
            try:
                return chr(int(code, 16))
            except (ValueError, OverflowError):
                raise FeelError(f"{match[0]} is no character") from None
        if match[3] not in _ESCAPED:
            raise FeelError(f"{match[0]} means nothing in a text")
        return _ESCAPED[match[3]]

    return _ESCAPE.sub(one, text[1:-1])


class _Reader:
    """Reads a cell from the left to the right."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0
        #: where no range begins: each place is tried once, however deep it lies
        self._no_range: set[int] = set()

    # what comes next

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def takes(self, *texts: str) -> bool:
        """Go past these signs or words, if they come next."""
        following = self._tokens[self._at : self._at + len(texts)]
        if len(following) < len(texts) or any(
            token.text != text or token.kind == "string" for token, text in zip(following, texts, strict=True)
        ):
            return False
        self._at += len(texts)
        return True

    def _expects(self, text: str) -> None:
        if not self.takes(text):
            raise self._unexpected(f"{text} is expected")

    def ends(self) -> None:
        """Raises FeelError if something is left."""
        if self._next.kind != "end":
            raise self._unexpected("the cell should end here")

    def _unexpected(self, why: str) -> FeelError:
        token = self._next
        if token.text in _REFUSED or token.text in ("+", "-", "*", "/", "**", "?"):
            return FeelError(f"{token.text!r} (character {token.at + 1}) is not part of what tables can say")
        found = "the end" if token.kind == "end" else repr(token.text)
        return FeelError(f"{why}, not {found} (character {token.at + 1})")

    # tests

    def test(self) -> Test:
        for operator in _OPERATORS:
            if self.takes(operator):
                return Compare(operator, self._operand())
        return self.expression()

    def tests_until(self, end: str) -> tuple[Test, ...]:
        found = [self.test()]
        while self.takes(","):
            found.append(self.test())
        self._expects(end)
        return tuple(found)

    # expressions

    def expression(self) -> Expression:
        value = self._operand()
        if self._next.text == "in" and self._next.kind == "name":
            self._at += 1
            if self._next.text == "(":
                place = self._at
                if (range_ := self._range_or_none()) is not None:
                    return In(value, (range_,))
                self._at = place + 1
                return In(value, self.tests_until(")"))
            return In(value, (self.test(),))
        return value

    def _operand(self) -> Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FeelError(f"a cell has at most {MAX_DEPTH} levels")
        try:
            return self._one()
        finally:
            self._depth -= 1

    def _one(self) -> Expression:
        token = self._next
        if token.kind == "number" or (token.text == "-" and self._tokens[self._at + 1].kind == "number"):
            return Literal(self._number())
        if token.kind == "string":
            self._at += 1
            return Literal(_unescaped(token.text))
        if token.text == "@":
            self._at += 1
            return Literal(self._temporal(self._text()))
        if token.text in ("(", "]", "["):
            range_ = self._range_or_none()
            if range_ is not None:
                return range_
            if token.text == "[":
                return self._list()
            if token.text == "(":
                self._at += 1
                inner = self.expression()
                self._expects(")")
                return inner
        if token.text == "{":
            return self._context()
        if token.kind == "name" and token.text not in _REFUSED:
            return self._named()
        raise self._unexpected("a value is expected")

    def _number(self) -> Any:
        sign = "-" if self.takes("-") else ""
        token = self._next
        self._at += 1
        try:
            return values.number(sign + token.text)
        except (ValueError, ArithmeticError):
            raise FeelError(f"{token.text} is no number (character {token.at + 1})") from None

    def _text(self) -> str:
        token = self._next
        if token.kind != "string":
            raise self._unexpected("a text is expected")
        self._at += 1
        return _unescaped(token.text)

    def _temporal(self, text: str) -> Any:
        for read in (values.read_date, values.read_time, values.read_date_time, values.read_duration):
            try:
                return read(text)
            except ValueError:
                continue
        raise FeelError(f'@"{text}" is no date, time or duration')

    def _named(self) -> Expression:
        words = [self._word()]
        while self._next.kind == "name" and self._next.text != "in":
            words.append(self._word())
        name = " ".join(words)
        if name in ("true", "false", "null"):
            return Literal({"true": True, "false": False, "null": None}[name])
        if self._next.text == "(":
            return Literal(self._called(name))
        if refused := _REFUSED.intersection(words):
            raise FeelError(f"{sorted(refused)[0]!r} is not part of what tables can say")
        names = [name]
        while self.takes("."):
            more = [self._word()]
            while self._next.kind == "name" and self._next.text != "in":
                more.append(self._word())
            names.append(" ".join(more))
        return Path(tuple(names))

    def _called(self, name: str) -> Any:
        read = _CALLS.get(name)
        if read is None:
            raise FeelError(f"the function {name}(…) is not part of what tables can say; there are {', '.join(_CALLS)}")
        self._at += 1
        text = self._text()
        self._expects(")")
        try:
            return read(text)
        except ValueError as error:
            raise FeelError(f'{name}("{text}"): {error}') from None

    def _word(self) -> str:
        token = self._next
        if token.kind != "name":
            raise self._unexpected("a name is expected")
        self._at += 1
        return token.text

    def _range_or_none(self) -> Expression | None:
        """A range, if one begins here; otherwise nothing was read."""
        place = self._at
        if place in self._no_range:
            return None
        opening = self._next.text
        self._at += 1
        try:
            low: Expression | None = self._operand()
        except FeelError:
            low = None
        if low is None or not self.takes(".."):
            self._no_range.add(place)
            self._at = place
            return None
        high = self._operand()
        if self._next.text not in (")", "]", "["):
            raise self._unexpected("the end of the range is expected")
        closing = self._next.text
        self._at += 1
        closed = (opening == "[", closing == "]")
        if isinstance(low, Literal) and isinstance(high, Literal):
            return Literal(Range(low.value, high.value, closed))
        return RangeOf(low, high, closed)

    def _list(self) -> Expression:
        self._expects("[")
        items: list[Expression] = []
        if not self.takes("]"):
            items.append(self.expression())
            while self.takes(","):
                items.append(self.expression())
            self._expects("]")
        if all(isinstance(item, Literal) for item in items):
            return Literal(tuple(item.value for item in items if isinstance(item, Literal)))
        return ListOf(tuple(items))

    def _context(self) -> Expression:
        self._expects("{")
        items: dict[str, Expression] = {}
        while not self.takes("}"):
            if items:
                self._expects(",")
            if self._next.kind == "string":
                key = self._text()
            else:
                words = [self._word()]
                while self._next.kind == "name":
                    words.append(self._word())
                key = " ".join(words)
            if key in items:
                raise FeelError(f"the key {key!r} stands twice")
            self._expects(":")
            items[key] = self.expression()
        if all(isinstance(item, Literal) for item in items.values()):
            return Literal({key: item.value for key, item in items.items() if isinstance(item, Literal)})
        return ContextOf(tuple(items.items()))
