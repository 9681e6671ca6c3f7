"""JSON values whose strings may hold `${{ expression }}`.

A string that is one `${{ }}` and nothing else gives the expression's value, whatever its type. Otherwise the values are
put into the text: null as nothing, true and false, numbers and structures as JSON. `$${{` writes a literal `${{`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from erip.foundation.faults import Fault, join
from workflows.core.cost import BUDGET_KEY, FREE, Budget, BudgetSpent, TooCostly
from workflows.core.expressions import ROOTS, BudgetExceeded, Expression, ExpressionError
from workflows.core.secrets import Filling, Named
from workflows.core.tokens import TokenError, scan

OPEN, ESCAPED = "${{", "$${{"

Context = Mapping[str, Any]
Location = tuple[str | int, ...]
#: the place of an expression in a value, and the expression
Expressions = tuple[tuple[Location, Expression], ...]


@dataclass(frozen=True, slots=True)
class Template:
    """One compiled value. Two are equal when their values are."""

    value: Any
    #: ids of the steps that it reads
    references: frozenset[str] = field(compare=False)
    expressions: Expressions = field(compare=False, repr=False)
    _render: Callable[[Context], Any] | None = field(compare=False, repr=False)
    _constant: Any = field(compare=False, repr=False)
    #: bytes of it as JSON
    size: int = field(default=0, compare=False, repr=False)
    #: the texts in it that secrets are put into, after it was rendered; until then they stand as they are written
    secrets: tuple[Filling, ...] = field(default=(), compare=False, repr=False)

    @classmethod
    def compile(cls, value: Any) -> "Template":
        """Compile a value; raises ExpressionError for the first expression that is wrong."""
        template, faults, _ = cls.check(value, at="")
        if template is None:
            raise ExpressionError(str(faults[0]))
        return template

    @classmethod
    def check(
        cls, value: Any, *, at: str, roots: tuple[str, ...] = ROOTS
    ) -> "tuple[Template | None, list[Fault], Expressions]":
        """(the template or None, every fault with its path under `at`, the expressions that are sound).

        roots: the names that its expressions may read.
        """
        builder = _Builder(roots)
        constant, render = builder.build(value, at, ())
        found = tuple(builder.found)
        if builder.faults:
            return None, builder.faults, found
        references = frozenset[str]().union(*(expression.references for _, expression in found))
        size = len(orjson.dumps(value))
        return cls(value, references, found, render, constant, size, tuple(builder.secrets)), [], found

    def rendered_by(self, render: Callable[[Context], Any]) -> "Template":
        """The same template, which is the same to whoever asks what it reads, with another way to render it."""
        return replace(self, _render=render)

    @property
    def constant(self) -> bool:
        """Whether it holds no expression. Then it always renders to the same value, which callers must not change."""
        return self._render is None

    def render(self, context: Context) -> Any:
        """The value in `context`; raises ExpressionError, with the place in the template.

        The context's budget, if there is one, is charged for it (Note [Budgets] in `cost`).
        """
        budget: Budget | None = context.get(BUDGET_KEY)
        if budget is not None:
            try:
                budget.begin_value(self.size)
            except TooCostly as error:
                raise _expression_error(error) from error
        return self._constant if self._render is None else self._render(context)


class _Builder:
    def __init__(self, roots: tuple[str, ...]) -> None:
        self.roots = roots
        self.faults: list[Fault] = []
        self.found: list[tuple[Location, Expression]] = []
        self.secrets: list[Filling] = []

    def build(self, value: Any, at: str, where: Location) -> "tuple[Any, Callable[[Context], Any] | None]":
        """(the constant, None), or (None, the function that renders the value)."""
        if isinstance(value, str):
            return self._string(value, at, where)
        if isinstance(value, dict):
            return self._object(value, at, where)
        if isinstance(value, list):
            items = [self.build(item, join(at, i), (*where, i)) for i, item in enumerate(value)]
            if all(render is None for _, render in items):
                return [constant for constant, _ in items], None
            return None, lambda context: [constant if render is None else render(context) for constant, render in items]
        return value, None

    def _object(self, value: dict[str, Any], at: str, where: Location) -> "tuple[Any, Callable[[Context], Any] | None]":
        built: list[tuple[str, Any, Callable[[Context], Any] | None]] = []
        for key, item in value.items():
            if OPEN in key:
                self.faults.append(Fault(join(at, key), "a key may not hold an expression"))
            constant, render = self.build(item, join(at, key), (*where, key))
            built.append((key, constant, render))
        if all(render is None for _, _, render in built):
            return {key: constant for key, constant, _ in built}, None
        return None, lambda context: {
            key: constant if render is None else render(context) for key, constant, render in built
        }

    def _string(self, text: str, at: str, where: Location) -> "tuple[Any, Callable[[Context], Any] | None]":
        if OPEN not in text:
            return text, None
        try:
            parts = split(text)
            compiled = [Expression.compile(part.strip(), roots=self.roots) if code else part for code, part in parts]
        except (ExpressionError, TokenError) as error:
            self.faults.append(Fault(at, str(error)))
            return None, None
        self.found.extend((where, part) for part in compiled if isinstance(part, Expression))
        if any(isinstance(part, Expression) and part.secret for part in compiled):
            return self._secret(text, compiled, at, where), None
        if all(isinstance(part, str) for part in compiled):
            return "".join(str(part) for part in compiled), None
        if len(compiled) == 1 and isinstance(compiled[0], Expression):
            return None, _located(_giving(compiled[0]), at)
        return None, _located(lambda context: "".join(_text(part, context) for part in compiled), at)

    def _secret(self, text: str, parts: "list[Expression | str]", at: str, where: Location) -> str:
        """A text with secrets stays as it is written: what a run's data say can never name a secret."""
        if any(isinstance(part, Expression) and not part.secret for part in parts):
            message = "a text with a secret may hold no other expression; give the rest in a text of its own"
            self.faults.append(Fault(at, message))
        named = (part if isinstance(part, str) else Named(str(part.secret)) for part in parts)
        self.secrets.append(Filling(where, tuple(named)))
        return text


def split(text: str) -> list[tuple[bool, str]]:
    """A string as its parts: (False, text) and (True, source of an expression). Raises ExpressionError, TokenError."""
    parts: list[tuple[bool, str]] = []
    plain, at = "", 0
    while True:
        start = text.find(OPEN, at)
        if start < 0:
            plain += text[at:]
            break
        if start > at and text[start - 1] == "$":
            plain += text[at : start - 1] + OPEN
            at = start + len(OPEN)
            continue
        plain += text[at:start]
        end, after = _find_end(text, start + len(OPEN))
        if plain:
            parts.append((False, plain))
        parts.append((True, text[start + len(OPEN) : end]))
        plain, at = "", after
    if plain:
        parts.append((False, plain))
    return parts


def unwrap(source: str) -> str:
    """The expression of an `if`, which may be written with or without ${{ }}."""
    try:
        parts = split(source)
    except (ExpressionError, ValueError):
        return source
    return parts[0][1].strip() if len(parts) == 1 and parts[0][0] else source


def is_one_expression(text: str) -> bool:
    """Whether a text that is known to be valid is one ${{ }} and nothing else."""
    parts = split(text)
    return len(parts) == 1 and parts[0][0]


def _find_end(text: str, start: int) -> tuple[int, int]:
    """Where the expression ends and where the text goes on: at the first `}}` that closes no brace of its own."""
    depth, last = 0, -2
    for token in scan(text, start):
        if token.kind != "op":
            continue
        if token.text == "{":
            depth += 1
        elif token.text == "}":
            if depth:
                depth -= 1
            elif last == token.at - 1:
                return token.at - 1, token.end
            else:
                last = token.at
    raise ExpressionError(f"{OPEN} is not closed by }}}}; write {ESCAPED} for the characters themselves")


def _located(render: Callable[[Context], Any], at: str) -> Callable[[Context], Any]:
    def located(context: Context) -> Any:
        try:
            return render(context)
        except ExpressionError as error:
            raise type(error)(f"{at}: {error}" if at else str(error)) from error

    return located


def _text(part: Expression | str, context: Context) -> str:
    if isinstance(part, str):
        return part
    value = _given(part, context)
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _giving(part: Expression) -> Callable[[Context], Any]:
    def giving(context: Context) -> Any:
        return _given(part, context)

    return giving


def _given(part: Expression, context: Context) -> Any:
    """An expression's value, if the budget has room for it."""
    value = part.evaluate(context)
    if type(value) in FREE:
        return value
    budget: Budget | None = context.get(BUDGET_KEY)
    if budget is not None:
        try:
            budget.give(value)
        except TooCostly as error:
            raise _expression_error(error) from error
    return value


def _expression_error(error: TooCostly) -> ExpressionError:
    return BudgetExceeded(str(error)) if isinstance(error, BudgetSpent) else ExpressionError(str(error))
