"""CEL expressions, compiled once, guarded, and evaluated on the parts of the context that they name.

`cost` says why there is a guard (Note [Why CEL is guarded]). Two things make evaluation fast and safe at once:

- a plain path (`input.cves`, `steps.enrich.output`) never gets to CEL: it is looked up, whatever the size of the value;
- in other expressions each path is looked up by us and given to CEL as a variable of its own, so that CEL converts
  nothing that is not read and copies nothing on the way down a path.

A path that leads nowhere is simply not given to CEL: reading it is an error there, and short-circuits (`a || b`, `?:`)
and `has()` work as CEL defines them.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any

from workflows.core import cel_compiler
from workflows.core.cost import BUDGET_KEY, MAX_PATTERN, Budget, BudgetSpent, Cost, TooCostly, Work, pattern_cost
from workflows.core.tokens import Token, TokenError, quote, scan

MAX_SOURCE = 1024
MAX_TOKENS = 250
MAX_NESTING = 24

ROOTS = ("input", "steps", "run")
#: names that only the `with` of a step with `foreach` may read
ITEM_ROOTS = ("item", "index")
#: names that only the `with` of a step that workers run may read (Note [Secrets] in `core/secrets`)
SECRET_ROOTS = ("secrets",)
#: names that only the rules of `on` may read, and nothing else can be read there
EVENT_ROOTS = ("event",)
#: names that a rule which gathers events may read of them: the last one of them, or all
GATHERED_ROOTS = {False: ("event", "count"), True: ("events", "count")}
RUN_KEYS = ("id", "workflow", "business_key", "created_at", "status")
STEP_KEYS = ("output", "status")
#: what the specification knows of an event; it may have other attributes
EVENT_KEYS = ("id", "source", "type", "subject", "time", "data", "datacontenttype", "dataschema", "specversion")
_ATTRIBUTE = re.compile(r"[a-z0-9_]{1,64}")
_SECRET = re.compile(r"[a-z][a-z0-9_]{0,62}")

COMPREHENSIONS = frozenset({"exists", "all", "exists_one", "existsOne"})
FUNCTIONS = frozenset({"size", "has", "int", "uint", "double", "string", "type", "timestamp", "duration"})
METHODS = frozenset(
    {"size", "contains", "startsWith", "endsWith", "matches"}
    | {"getFullYear", "getMonth", "getDayOfMonth", "getDayOfYear", "getDayOfWeek", "getDate"}
    | {"getHours", "getMinutes", "getSeconds", "getMilliseconds"}
)
_TYPES = frozenset({"int", "uint", "double", "bool", "string", "list", "map", "null_type"})
_WORDS = frozenset({"true", "false", "null", "in"})
_REFUSED = {
    "map": "map() is not allowed in an expression; do it in a step",
    "filter": "filter() is not allowed in an expression; do it in a step",
}

Path = tuple[str | int, ...]
_MISSING = object()


class ExpressionError(Exception):
    """An expression cannot be compiled or evaluated; the message says why. Trying again does not help."""


class BudgetExceeded(ExpressionError):
    """All expressions of the decision together cost too much, not this one alone: those after it fail as well."""


@dataclass(frozen=True, slots=True)
class _Variable:
    """A path, and the name of the CEL variable that holds its value."""

    name: str
    path: Path
    #: has(path.key): only whether the key is there is of interest
    has: str | None = None


@dataclass(frozen=True, slots=True)
class Expression:
    """One compiled expression. Two are equal when their sources are."""

    source: str
    #: ids of the steps that it reads
    references: frozenset[str]
    #: what it reads, as written: ("steps", "enrich", "output", "score")
    paths: tuple[Path, ...]
    #: None: a plain path
    _program: Any
    _variables: tuple[_Variable, ...]
    _inner: frozenset[str]
    _cost: Cost

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)

    @classmethod
    def compile(cls, source: str, *, roots: tuple[str, ...] = ROOTS) -> "Expression":
        """Compile `source`; raises ExpressionError with the reason when it is not allowed or not CEL.

        roots: the names that it may read, which are those of the context that it is evaluated in.
        """
        return _compile(source, roots)

    @property
    def plain(self) -> bool:
        """Whether it is only a path, which is looked up without CEL."""
        return self._program is None

    @property
    def read(self) -> "tuple[tuple[Path, bool], ...]":
        """What it reads, and of each whether only that there is something below it: `has`."""
        return tuple((variable.path, variable.has is not None) for variable in self._variables)

    @property
    def secret(self) -> str | None:
        """The name of the secret that it gives; None if it reads none."""
        return str(self.paths[0][1]) if self.paths and self.paths[0][0] in SECRET_ROOTS else None

    def evaluate(self, context: Mapping[str, Any]) -> Any:
        """Its value in `context` ({"input": …, "steps": …, "run": …}), as plain JSON. Raises ExpressionError."""
        if self._program is None:
            return _look_up(self.paths[0], context)
        budget: Budget | None = context.get(BUDGET_KEY)
        given: dict[str, Any] = {}
        for variable in self._variables:
            value = _find(variable.path, context)
            if value is not _MISSING:
                given[variable.name] = value if variable.has is None else _outline(value, variable.has)
        try:
            units = self._cost.check(list(given.values()), [given[name] for name in self._inner if name in given])
            if budget is not None:
                budget.work(units)
            result = self._program.execute(given)
        except BudgetSpent as error:
            raise BudgetExceeded(f"{_short(self.source)}: {error}") from error
        except TooCostly as error:
            raise ExpressionError(f"{_short(self.source)}: {error}") from error
        except Exception as error:  # cel has no error class of its own
            raise ExpressionError(f"{_short(self.source)}: {self._explain(error, context, budget)}") from error
        return _plain(result, self.source)

    def test(self, context: Mapping[str, Any], *, what: str = "an `if`") -> bool:
        """Its value as the answer to an `if`, or to whatever `what` says; raises ExpressionError when it is not true or
        false."""
        value = self.evaluate(context)
        if not isinstance(value, bool):
            raise ExpressionError(f"{_short(self.source)}: gave {_kind(value)}, {what} needs true or false")
        return value

    def _explain(self, error: Exception, context: Mapping[str, Any], budget: Budget | None) -> str:
        message = str(error)
        for variable in self._variables:
            if f"'{variable.name}'" in message:
                return _why_missing(variable.path, context, budget)
        if isinstance(error, KeyError):
            return f"there is no key {error.args[0]!r}" if error.args else "there is no such key"
        names = {variable.name: write_path(variable.path) for variable in self._variables}
        message = re.sub(r"__p\d+", lambda found: names.get(found[0], found[0]), message)
        return _short(message.strip() or type(error).__name__, 300)


# --- compiling


def _compile(source: str, roots: tuple[str, ...]) -> Expression:
    if not isinstance(source, str):
        raise ExpressionError(f"an expression is a string, not {_kind(source)}")
    if len(source.encode("utf-8", "replace")) > MAX_SOURCE:
        raise ExpressionError(f"an expression has at most {MAX_SOURCE} bytes; this one is longer: do it in a step")
    try:
        tokens = list(scan(source))
    except TokenError as error:
        raise ExpressionError(f"{error} in {_short(source)}") from error
    if not tokens:
        raise ExpressionError("the expression is empty")
    _check_size(tokens)
    reader = _Reader(tokens, roots)
    reader.read()
    references = frozenset(str(path[1]) for path in reader.paths if path[0] == "steps")
    paths = tuple(dict.fromkeys(reader.paths))
    variables = tuple(reader.variables.values())
    cost = reader.cost()
    if len(reader.written) == 1 and len(variables) == 1 and variables[0].has is None:
        return Expression(source, references, paths, None, variables, frozenset(), cost)
    if any(path[0] in SECRET_ROOTS for path in paths):
        raise ExpressionError(f"{_short(source)}: a secret is given as it is; write secrets.<name> and nothing else")
    try:
        cost.check_alone()
        program = cel_compiler.compile(" ".join(reader.written))
    except TooCostly as error:
        raise ExpressionError(f"{_short(source)}: {error}") from error
    except Exception as error:
        raise ExpressionError(f"not a CEL expression: {_syntax_error(source, error)}") from error
    return Expression(source, references, paths, program, variables, frozenset(reader.inner), cost)


def _check_size(tokens: list[Token]) -> None:
    """Bounds the depth of what CEL gets: its parser and interpreter recurse, and abort past a few hundred levels."""
    if len(tokens) > MAX_TOKENS:
        raise ExpressionError(f"the expression has {len(tokens)} words and signs, at most {MAX_TOKENS} are allowed")
    depth = 0
    for token in tokens:
        if token.kind == "op" and token.text in "([{?":
            depth += 1
            if depth > MAX_NESTING:
                raise ExpressionError(f"the expression is nested more than {MAX_NESTING} deep")
        elif token.kind == "op" and token.text in ")]}":
            depth -= 1


class _Reader:
    """Goes through the tokens once: refuses what is not allowed, collects the paths, and writes the source for CEL."""

    def __init__(self, tokens: list[Token], roots: tuple[str, ...]) -> None:
        self.tokens = tokens
        self.roots = roots
        self.at = 0
        self.written: list[str] = []
        self.paths: list[Path] = []
        self.variables: dict[tuple[Path, str | None], _Variable] = {}
        self.inner: set[str] = set()
        self.depth = 0
        self.loop: str | None = None
        #: nesting depth of the body of the comprehension while we are in it
        self.loop_depth: int | None = None
        self.body: tuple[int, int] | None = None
        self.body_start = 0
        self.notes: list[tuple[int, str, Any]] = []

    def peek(self, ahead: int = 0) -> str:
        """The text of an upcoming sign or name; "" for literals and at the end."""
        index = self.at + ahead
        if 0 <= index < len(self.tokens) and self.tokens[index].kind in ("op", "name"):
            return self.tokens[index].text
        return ""

    def read(self) -> None:
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.kind == "name":
                self._name(token)
            else:
                if token.kind == "op":
                    self._op(token)
                self.written.append(token.text)
                self.at += 1

    def _op(self, token: Token) -> None:
        if token.text in "([{":
            self.depth += 1
        elif token.text in ")]}":
            self.depth -= 1
            if self.loop_depth is not None and self.depth < self.loop_depth:
                self.body, self.loop, self.loop_depth = (self.body_start, self.at), None, None
        if token.text == "+":
            self._note("plus")
        elif token.text in "[{" or (token.text == "." and self.peek(2) != "("):
            self._note("copy")
        if token.text in "[{" and not self._is_index():
            self._note("literal")
        if token.text == "." and (self.at == 0 or not self._ends_operand(self.tokens[self.at - 1])):
            raise ExpressionError("a name may not begin with a dot")

    def _is_index(self) -> bool:
        token = self.tokens[self.at]
        return token.text == "[" and self.at > 0 and self._ends_operand(self.tokens[self.at - 1])

    @staticmethod
    def _ends_operand(token: Token) -> bool:
        if token.kind == "name":
            return token.text != "in"
        return token.kind in ("string", "number") or token.text in (")", "]", "}")

    def _note(self, what: str, value: Any = None) -> None:
        self.notes.append((self.at, what, value))

    def _name(self, token: Token) -> None:
        name, called = token.text, self.peek(1) == "("
        selected = self.at > 0 and self.tokens[self.at - 1].text == "." and self.tokens[self.at - 1].kind == "op"
        if name.startswith("__"):
            raise ExpressionError(f"{name}: names with two leading underscores are reserved")
        if self.peek(1) == "{":
            raise ExpressionError(f"{name}{{...}}: only {{'key': value}} objects are allowed")
        if called:
            self._call(name, selected)
        elif selected or name == self.loop:
            self._write(name)
        elif name in self.roots:
            self._path()
        elif name in _WORDS or name in _TYPES:
            self._write(name)
        elif name in ITEM_ROOTS:
            raise ExpressionError(f"{name} can be read only in the `with` of a step that has foreach")
        elif name in SECRET_ROOTS:
            raise ExpressionError("secrets can be read only in the `with` of a step that has uses")
        elif name in EVENT_ROOTS:
            raise ExpressionError(f"{name} can be read only in the rules of `on`")
        elif name in ROOTS:
            raise ExpressionError(f"{name} cannot be read here: there is {' and '.join(self.roots)}")
        else:
            raise ExpressionError(f"unknown name {name!r}: {_hint(name, self.roots)}quote it if it is text")

    def _write(self, text: str) -> None:
        self.written.append(text)
        self.at += 1

    def _call(self, name: str, selected: bool) -> None:
        if name in _REFUSED:
            raise ExpressionError(_REFUSED[name])
        if selected and name in COMPREHENSIONS:
            self._comprehension(name)
        elif selected and name in METHODS:
            if name == "matches":
                self._matches()
            self._write(name)
        elif not selected and name == "has":
            self._has()
        elif not selected and name in FUNCTIONS:
            self._write(name)
        else:
            known = sorted(METHODS | COMPREHENSIONS) if selected else sorted(FUNCTIONS)
            raise ExpressionError(f"unknown function {name}(): {_hint(name, known)}known are {', '.join(known)}")

    def _comprehension(self, name: str) -> None:
        if self.loop is not None or self.body is not None:
            raise ExpressionError("only one exists() or all() is allowed in an expression")
        loop = self.tokens[self.at + 2] if self.at + 2 < len(self.tokens) else None
        if loop is None or loop.kind != "name" or self.peek(3) != ",":
            raise ExpressionError(f"{name}() is written list.{name}(name, condition)")
        if loop.text in {*self.roots, *_TYPES, *_WORDS} or loop.text.startswith("__"):
            raise ExpressionError(f"{name}({loop.text}, …): the name is taken, choose another")
        self.written.extend((name, "(", loop.text, ","))
        self.at += 4
        self.depth += 1
        self.loop, self.loop_depth, self.body_start = loop.text, self.depth, self.at

    def _matches(self) -> None:
        pattern = self.tokens[self.at + 2] if self.at + 2 < len(self.tokens) else None
        if pattern is None or pattern.kind != "string" or self.peek(3) != ")":
            raise ExpressionError("the pattern of matches() must be a string literal")
        to_compile, to_match = pattern_cost(pattern.value)
        if to_match > MAX_PATTERN:
            raise ExpressionError(f"the pattern of matches() is too large ({to_match} characters once written out)")
        try:
            cel_compiler.compile(f"''.matches({quote(pattern.value)})").execute({})
        except Exception as error:
            raise ExpressionError(f"not a regular expression: {_short(pattern.value)}") from error
        self._note("pattern", (to_compile, to_match))

    def _has(self) -> None:
        """has(input.a.b): CEL is given an outline of input.a that tells only whether it has b."""
        first = self.peek(2)
        if first == self.loop and first:
            self._write("has")
            return
        if first not in self.roots:
            raise ExpressionError("has() takes a path, such as has(input.severity)")
        self.written.extend(("has", "("))
        self.at += 2
        self.depth += 1
        path, last_is_field = self._take_path()
        if self.peek() != ")" or len(path) < 2 or not last_is_field:
            raise ExpressionError("has() takes a path, such as has(input.severity)")
        key = str(path[-1])
        self._remember(path)
        self._give(path[:-1], key)
        self.written.extend((".", key))

    def _path(self) -> None:
        path, _ = self._take_path()
        self._remember(path)
        self._give(path, None)

    def _take_path(self) -> tuple[Path, bool]:
        path: list[str | int] = [self.tokens[self.at].text]
        last_is_field = False
        self.at += 1
        while True:
            step = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else None
            if self.peek() == "." and step and step.kind == "name" and self.peek(2) != "(":
                if step.text in _WORDS or step.text.startswith("__"):
                    raise ExpressionError(f".{step.text}: write ['{step.text}'] for this key")
                path.append(step.text)
                self.at, last_is_field = self.at + 2, True
            elif self.peek() == "[" and step and self.peek(2) == "]" and step.kind == "string":
                path.append(step.value)
                self.at, last_is_field = self.at + 3, False
            elif self.peek() == "[" and step and self.peek(2) == "]" and step.text.isdecimal() and len(step.text) < 10:
                path.append(int(step.text))
                self.at, last_is_field = self.at + 3, False
            else:
                return tuple(path), last_is_field

    def _remember(self, path: Path) -> None:
        if path[0] == "event":
            _check_attribute(path)
        if path[0] == "run" and (len(path) < 2 or path[1] not in RUN_KEYS):
            raise ExpressionError(f"{write_path(path)}: run has {', '.join(RUN_KEYS)}")
        if path[0] in SECRET_ROOTS and (len(path) != 2 or not _SECRET.fullmatch(str(path[1]))):
            message = "name one secret: secrets.<name>, of lower-case letters, digits and _"
            raise ExpressionError(f"{write_path(path)}: {message}")
        if path[0] == "steps":
            if len(path) < 3 or not isinstance(path[1], str):
                raise ExpressionError(f"{write_path(path)}: name the step and what of it: steps.<id>.output")
            if path[2] not in STEP_KEYS:
                hint = f"; did you mean {write_path((*path[:2], 'output', *path[2:]))}?"
                raise ExpressionError(f"{write_path(path)}: a step has {' and '.join(STEP_KEYS)}{hint}")
        self.paths.append(path)

    def _give(self, path: Path, has: str | None) -> None:
        variable = self.variables.get((path, has))
        if variable is None:
            variable = _Variable(f"__p{len(self.variables)}", path, has)
            self.variables[path, has] = variable
        if self.loop is not None:
            self.inner.add(variable.name)
        self.notes.append((self.at - 1, "read", None))
        self.written.append(variable.name)

    def cost(self) -> Cost:
        start, end = self.body or (0, 0)
        inside = self._work(start, end) if self.body else None
        outside = [*range(start), *range(end, len(self.tokens))]
        commas = sum(1 for token in self.tokens if token.text == ",")
        return Cost(self._work_of(set(outside), len(outside)), inside, commas + 1)

    def _work(self, start: int, end: int) -> Work:
        return self._work_of(set(range(start, end)), end - start)

    def _work_of(self, where: set[int], count: int) -> Work:
        notes = [(what, value) for at, what, value in self.notes if at in where]
        kinds = [what for what, _ in notes]
        copies = kinds.count("copy") + (kinds.count("read") if "literal" in kinds else 0)
        patterns = [value for what, value in notes if what == "pattern"]
        return Work(
            tokens=count,
            reads=kinds.count("read"),
            pluses=kinds.count("plus"),
            copies=copies,
            to_compile=sum(compiled for compiled, _ in patterns),
            to_match=sum(matched for _, matched in patterns),
        )


def _check_attribute(path: Path) -> None:
    """CloudEvents: names of attributes are of lower-case letters and digits."""
    name = path[1] if len(path) > 1 else None
    if isinstance(name, int) or (isinstance(name, str) and not _ATTRIBUTE.fullmatch(name)):
        close = difflib.get_close_matches(str(name).lower(), EVENT_KEYS, n=1)
        hint = f"; did you mean event.{close[0]}?" if close else ""
        raise ExpressionError(f"{write_path(path[:2])}: an attribute's name has lower-case letters and digits{hint}")


# --- looking up


def _find(path: Path, context: Any) -> Any:
    """What `path` leads to, or _MISSING. It selects as CEL does: keys of objects, items of lists."""
    value = context
    for key in path:
        if type(key) is str:
            if not (type(value) is dict or isinstance(value, Mapping)) or key not in value:
                return _MISSING
        elif not isinstance(value, list) or not 0 <= key < len(value):  # type: ignore[operator]
            return _MISSING
        value = value[key]
    return value


def _look_up(path: Path, context: Mapping[str, Any]) -> Any:
    value = _find(path, context)
    if value is _MISSING:
        raise ExpressionError(_why_missing(path, context, context.get(BUDGET_KEY)))
    kind = type(value)
    if (kind is int and not -(2**63) <= value < 2**64) or (kind is float and value - value != 0):
        return _plain(value, write_path(path))
    return value


def _outline(value: Any, key: str) -> Any:
    """As little of `value` as has(value.key) needs: whether an object has the key; of any other value its type."""
    if isinstance(value, Mapping):
        return {key: True} if key in value else {}
    return [] if isinstance(value, list) else value


def _why_missing(path: Path, context: Any, budget: Budget | None) -> str:
    value = context
    hint = budget is None or budget.hint()
    for depth, key in enumerate(path):
        inside = _find((key,), value)
        if inside is _MISSING:
            here, parent = write_path(path[: depth + 1]), write_path(path[:depth])
            if isinstance(value, Mapping) and isinstance(key, str):
                near = _did_you_mean(key, [str(known) for known in islice(value, 200)]) if hint else ""
                return f"there is no {here}{near}"
            if isinstance(value, list) and isinstance(key, int):
                return f"there is no {here}: {parent} has {len(value)} items"
            return f"there is no {here}: {parent} is {_kind(value)}"
        value = inside
    return f"{write_path(path)} cannot be read"


@lru_cache(maxsize=4096)
def write_path(path: Path) -> str:
    """A path as an author writes it: steps.enrich.output['a b'][0]."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        elif re.fullmatch(r"[A-Za-z_]\w*", key, re.ASCII):
            text += f".{key}" if text else key
        else:
            text += f"[{key!r}]"
    return text


# --- results


def _plain(value: Any, source: str) -> Any:
    """A result as plain JSON; raises ExpressionError if JSON cannot hold it."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is int:
        if not -(2**63) <= value < 2**64:
            raise ExpressionError(f"{_short(source)}: an integer beyond 64 bits")
        return value
    if kind is float:
        if value - value != 0:  # inf - inf and nan - nan are nan
            raise ExpressionError(f"{_short(source)}: gave {value}, which JSON cannot hold")
        return value
    if kind is list:
        return [_plain(item, source) for item in value]
    if kind is dict:
        for key in value:
            if type(key) is not str:
                raise ExpressionError(f"{_short(source)}: the keys of an object must be strings, not {_kind(key)}")
        # CEL's objects have no order; a replayed run must give the same text.
        return {key: _plain(value[key], source) for key in sorted(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    hint = "; use string(...)" if kind.__name__ == "timedelta" else ""
    raise ExpressionError(f"{_short(source)}: gave {_kind(value)}, which JSON cannot hold{hint}")


_KINDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    type(None): "null",
    bytes: "bytes",
}


def _kind(value: Any) -> str:
    if type(value).__name__ == "timedelta":
        return "a duration"
    return _KINDS.get(type(value), type(value).__name__)


def _short(text: str, limit: int = 120) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _syntax_error(source: str, error: Exception) -> str:
    """CEL's own message, without its drawing of the place and without the names that we gave to paths."""
    try:
        cel_compiler.compile(source)
    except Exception as original:
        error = original
    found = re.search(r"ERROR: <input>:1:(\d+): (?:Syntax error: )?([^\n|]+)", str(error))
    if found:
        return f"{found[2].strip()} at character {found[1]} of {_short(source)}"
    return _short(source)


def _did_you_mean(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known[:200], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _hint(word: str, known: "tuple[str, ...] | list[str]") -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {close[0]}? " if close else ""
