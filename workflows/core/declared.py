"""`clocks` of a definition: legal clocks that its runs start, whatever else they do.

    clocks:
      - obligation: gdpr-33
        starts: ${{ input.aware_at }}

Note [Clocks are steps]
A clock must start with certainty, exactly once, and at no cost to runs that have none. Steps do: so the clocks become
steps that users did not write, `clocks_1`, `clocks_2`, one for all clocks whose expressions read the same steps. Each
runs as soon as these have ended, the first one with the run, and its result is recorded together with its clocks
(`workflows.clocks.starting`). It is seen, retried and explained like any other step. Faults are reported where the
author wrote them.

Note [Each clock alone]
An expression that cannot be computed says nothing about the law. It must cost no other clock of its step its start, and
its own clock neither: that would be silence where a deadline may run. So each is rendered alone, each trigger of one
too, and what failed is handed to the step as `failed`, by its key. There it is what was not known: a condition that
cannot be computed starts the clock, and one whose moment cannot be computed counts from the run's creation, is
provisional, and says why (`workflows.clocks.steps`).
Clocks that read a step which failed do not start with the run that ends by it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from erip.foundation.faults import Fault
from workflows.core.clocks.clock import TRIGGERS
from workflows.core.expressions import ExpressionError
from workflows.core.templates import OPEN, Context, Template, is_one_expression, unwrap

#: the registered step that starts clocks
USES: Final = "clocks.start"
MOST: Final = 50

_MOMENT: Final[dict[str, Any]] = {
    "type": ["string", "null"],
    "maxLength": 2000,
    "title": "a moment, or a text that holds an ${{ expression }}",
}

FORMAT: Final[dict[str, Any]] = {
    "type": "array",
    "title": "a list of objects with obligation and starts",
    "description": "Duties to report that every run has: each gets a legal clock, which outlives the run.",
    "maxItems": MOST,
    "items": {
        "type": "object",
        "title": "an object with obligation and starts",
        "required": ["obligation", "starts"],
        "additionalProperties": False,
        "properties": {
            "obligation": {
                "type": "string",
                "pattern": "^[A-Za-z0-9_-]{1,60}$",
                "title": "the code of a duty",
                "description": "The code of a duty of the risk library, such as gdpr-33.",
            },
            "starts": {
                "type": ["string", "object"],
                "title": "a moment, or an object of moments by trigger",
                "description": "When that happened from which the period counts: a moment of RFC 3339, mostly an "
                "${{ expression }}. An object names the triggers apart, such as {detected: …, classified: …}. Null: "
                "not known; then the clock counts from the run's creation, and is provisional.",
                "if": {"type": "object"},
                "then": {
                    "minProperties": 1,
                    "additionalProperties": False,
                    "properties": dict.fromkeys(TRIGGERS, _MOMENT),
                },
                "else": _MOMENT,
            },
            "places": {
                "type": ["array", "string"],
                "title": "a list of places, or an ${{ expression }} that gives one",
                "description": "Where the law applies, such as [DE]: the time zones and holidays that count. Default: "
                "everywhere where the duty is law, of which the earliest deadline counts.",
                "maxItems": 100,
                "items": {"type": "string", "maxLength": 60, "title": "a place"},
            },
            "if": {
                "type": ["string", "boolean"],
                "title": "an expression",
                "description": "An expression that gives true (the clock starts) or false. Default: true.",
            },
        },
    },
}
_PATH: Final = re.compile(r"steps\.(\w+)(?:\.with\.clocks\[(\d+)\])?(.*)", re.DOTALL)


#: characters of an error that a clock keeps
_TOLD: Final = 300


@dataclass(frozen=True, slots=True)
class Declared:
    """steps: those that start the clocks, by id. places: of each, the places of its clocks in `clocks`."""

    steps: Mapping[str, dict[str, Any]]
    places: Mapping[str, list[int]]
    #: as the author wrote them
    clocks: Sequence[Mapping[str, Any]] = ()

    def each_alone(self, step: str, template: Template) -> Template:
        """The input of one of the steps, so that what cannot be computed costs no other clock (Note [Each clock
        alone])."""
        if template.constant:
            return template
        alone = [_Alone(self.clocks[place]) for place in self.places[step]]
        return template.rendered_by(lambda context: {"clocks": [one.render(context) for one in alone]})

    def named(self, fault: Fault) -> Fault:
        """The same fault, where the author wrote what it is about."""
        found = _PATH.fullmatch(fault.path)
        if found is None or found[1] not in self.places:
            return fault
        own = self.places[found[1]]
        if found[2] is None:
            return Fault(f"clocks[{own[0]}]", fault.message)
        return Fault(f"clocks[{own[int(found[2])]}]{found[3]}", fault.message)


NONE: Final = Declared({}, {})


def declared(clocks: Any, taken: Mapping[str, Any]) -> Declared:
    """The steps that start `clocks`, which are as FORMAT wants them. taken: the ids of the other steps."""
    groups: dict[tuple[str, ...], list[int]] = {}
    written: list[dict[str, Any]] = []
    for index, clock in enumerate(clocks):
        written.append(_written(clock))
        reads: set[str] = set()
        for _, expression in Template.check(written[-1], at="")[2]:
            reads |= expression.references
        groups.setdefault(tuple(sorted(reads)), []).append(index)
    steps: dict[str, dict[str, Any]] = {}
    places: dict[str, list[int]] = {}
    number = 0
    for reads_, own in groups.items():
        number += 1
        while f"clocks_{number}" in taken:
            number += 1
        id = f"clocks_{number}"
        needs = [step for step in reads_ if step in taken]
        steps[id] = {"uses": USES, "needs": needs, "with": {"clocks": [written[index] for index in own]}}
        places[id] = own
    return Declared(steps, places, clocks)


class _Alone:
    """One clock, of which each part is rendered for itself."""

    def __init__(self, clock: Mapping[str, Any]) -> None:
        self._obligation = clock["obligation"]
        given = clock.get("if", True)
        condition = f"${{{{ {unwrap(given)} }}}}" if isinstance(given, str) else given
        self._condition = Template.compile(condition)
        starts = clock["starts"]
        self._starts = (
            {name: Template.compile(at) for name, at in starts.items()}
            if isinstance(starts, dict)
            else Template.compile(starts)
        )
        self._places = Template.compile(clock["places"]) if "places" in clock else None

    def render(self, context: Context) -> dict[str, Any]:
        failed: dict[str, str] = {}

        def value(key: str, template: Template, otherwise: Any) -> Any:
            try:
                return template.render(context)
            except ExpressionError as error:
                failed[key] = str(error)[:_TOLD]
                return otherwise

        condition = value("if", self._condition, True)

        def part(key: str, template: Template) -> Any:
            # What it asks about may not be there.
            return None if condition is False and not template.constant else value(key, template, None)

        starts = self._starts
        found: dict[str, Any] = {
            "obligation": self._obligation,
            "if": condition,
            "starts": {name: part(f"starts.{name}", one) for name, one in starts.items()}
            if isinstance(starts, dict)
            else part("starts", starts),
        }
        if self._places is not None:
            found["places"] = part("places", self._places)
        return {**found, "failed": failed} if failed else found


def _written(clock: Mapping[str, Any]) -> dict[str, Any]:
    """A clock as the input of the step that starts it. Its `if` may be written with or without ${{ }}, and where it
    is false, nothing else is evaluated: what it asks about may not be there. One that gives neither true nor false
    starts the clock (`workflows.clocks.steps`): unknown is not no."""
    given = clock.get("if", True)
    if not isinstance(given, str):
        return {**clock, "if": given}
    condition = unwrap(given)
    wrapped = f"${{{{ {condition} }}}}"
    found: dict[str, Any] = {**clock, "if": wrapped}
    if not Template.check(wrapped, at="")[1]:
        found["starts"] = _only_if(condition, clock["starts"])
        if "places" in clock:
            found["places"] = _only_if(condition, clock["places"])
    return found


def _only_if(condition: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _only_if(condition, each) for key, each in value.items()}
    template = Template.check(value, at="")[0] if isinstance(value, str) and OPEN in value else None
    if template is None or not is_one_expression(value):
        return value
    return f"${{{{ ({condition}) == false ? null : ({unwrap(value)}) }}}}"
