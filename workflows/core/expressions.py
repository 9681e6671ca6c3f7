"""CEL expressions and `${{ }}` templates, compiled once per version."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cel


class ExpressionError(Exception):
    """An expression cannot be compiled or evaluated; the message says why."""


@dataclass(frozen=True)
class Expression:
    source: str
    #: ids of the steps that it reads
    references: frozenset[str]
    _program: Any

    @classmethod
    def compile(cls, source: str) -> "Expression":
        return cls(source, frozenset(), cel.compile(source))

    def evaluate(self, context: Mapping[str, Any]) -> Any:
        try:
            return self._program.execute(dict(context))
        except Exception as error:
            raise ExpressionError(str(error)) from error


@dataclass(frozen=True)
class Template:
    value: Any
    references: frozenset[str]

    @classmethod
    def compile(cls, value: Any) -> "Template":
        return cls(value, frozenset())

    def render(self, context: Mapping[str, Any]) -> Any:
        return self.value
