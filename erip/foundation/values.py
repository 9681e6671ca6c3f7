"""Immutable values of which the hot path makes many.

Note [Frozen values]
A frozen dataclass sets each field by `object.__setattr__`, since its own `__setattr__` refuses: with eleven fields that
takes 1.1 µs in place of 0.2, and a run in a chunk makes twenty values. What `value` makes is frozen for the type
checker, which is part of the gate, and an ordinary dataclass at run time. Whatever is made less often than once a step
is a frozen dataclass.
"""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True)
def value(cls: type[_T]) -> type[_T]:
    """A dataclass with slots, equality and a hash by its fields, which nobody is to change."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
