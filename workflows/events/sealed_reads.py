"""What a rule does with the sensitive data of an event: refuses what would look into it.

As with the steps of a definition (`core/sensitive_reads`), an expression may only hand a sealed part on. An event's
type may be registered long after the rule, so this is asked when the rule is about an event, once for each version of
both.
"""

from collections.abc import Iterator
from typing import Any

from erip.foundation.faults import Fault
from workflows.core import sensitive
from workflows.core.expressions import Expression, Path, write_path
from workflows.core.rules import Rule
from workflows.core.sensitive import NOTHING, Part, Parts
from workflows.core.templates import Template, is_one_expression
from workflows.events.types import Known

_HOW = "hand the whole of it on, as `${{ … }}` and nothing else, in `input`, `payload` or `each`"


def faults(rule: Rule, known: Known) -> tuple[Fault, ...]:
    """Each expression of a rule that would look into something sealed."""
    found = known.looked.get(rule.key)
    if found is None:
        found = known.looked[rule.key] = tuple(_faults(rule, known.sealed))
    return found


def _faults(rule: Rule, data: Parts) -> Iterator[Fault]:
    event = Part(keys={"data": Part(same=list(data))})
    roots = {"event": event, "events": Part(items=[event])}
    gathering, signalling = rule.gathering, rule.signalling
    if gathering is not None and gathering.each is not None:
        # What is kept of an event has a form of its own: what is sealed in it is seen when it is handed on.
        del roots["events"]
    if rule.condition is not None:
        yield from _of("if", rule.condition, roots, alone=False)
    hands_on = [("input", rule.input), ("payload", signalling.payload if signalling is not None else None),
                ("each", gathering.each if gathering is not None else None)]  # fmt: skip
    looks = [("business_key", rule.business_key), ("deadline", rule.deadline),
             ("key", gathering.key if gathering is not None else None),
             ("run", signalling.run if signalling is not None else None)]  # fmt: skip
    for at, template in hands_on:
        for expression, alone in _expressions(template):
            yield from _of(at, expression, roots, alone=alone)
    for at, template in looks:
        for expression, _ in _expressions(template):
            yield from _of(at, expression, roots, alone=False)


def _expressions(template: Template | None) -> Iterator[tuple[Expression, bool]]:
    """The expressions of a template, and whether each is all of its text."""
    for location, expression in template.expressions if template is not None else ():
        text: Any = template.value if template is not None else None
        for key in location:
            text = text[key]
        yield expression, is_one_expression(str(text))


def _of(at: str, expression: Expression, roots: dict[str, Part], *, alone: bool) -> Iterator[Fault]:
    for path, has in expression.read:
        parts, sealed = _at(path, roots)
        if sealed is None and has and sensitive.is_sealed(parts):
            sealed = path
        if sealed is not None:
            yield Fault(at, f"{write_path(path)}: {write_path(sealed)} is sensitive: {_HOW}")
        elif not has and sensitive.holds_sealed(parts) and not (alone and expression.plain):
            what = "is" if sensitive.is_sealed(parts) else "holds what is"
            yield Fault(at, f"{write_path(path)} {what} sensitive: {_HOW}")


def _at(path: Path, roots: dict[str, Part]) -> tuple[Parts, Path | None]:
    """(what is known of the end of a path; the part on the way to it that is sealed, or None)."""
    root = roots.get(str(path[0]))
    parts: Parts = NOTHING if root is None else (root,)
    for index in range(1, len(path)):
        if sensitive.is_sealed(parts):
            return NOTHING, path[:index]
        parts = sensitive.below(parts, path[index])
    return parts, None
