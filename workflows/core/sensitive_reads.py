"""What a definition does with sensitive data: refuses what would look into it, and finds where steps get it.

Note [Sensitive data] in `sensitive` says why an expression may only hand a sealed part on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from erip.foundation.faults import Fault
from workflows.core import sensitive
from workflows.core.declared import USES
from workflows.core.expressions import Expression, Path, write_path
from workflows.core.graph import StepInfo, StepNode
from workflows.core.paths import Read
from workflows.core.schema import place
from workflows.core.sensitive import NOTHING, Opening, Part, Parts
from workflows.core.templates import Location, Template, is_one_expression

_HOW = "hand the whole of it on, as `${{ … }}` and nothing else, in the `with` of a step that has uses, or in `output`"


class SensitiveReads:
    """Over one definition, once its steps are known."""

    def __init__(self, nodes: Mapping[str, StepNode], input: Parts, registered: Mapping[str, StepInfo]) -> None:
        self.nodes = nodes
        self.input = input
        self.outputs: dict[str, Parts] = {}
        for id, node in nodes.items():
            if _runs_a_body(node) and node.work is not None and node.work.uses in registered:
                self.outputs[id] = _output(node, tuple(getattr(registered[node.work.uses], "sealed", NOTHING)))
            elif parts := node.how.sealed_output():
                self.outputs[id] = parts
        self.any = bool(input) or any(self.outputs.values())

    def opening(self) -> dict[str, StepNode]:
        """The steps, each with the places of its input that are opened for its body."""
        return {id: self._opening(id, node) for id, node in self.nodes.items()}

    def _opening(self, id: str, node: StepNode) -> StepNode:
        work = node.work
        if not _runs_a_body(node) or work is None or work.with_ is None:
            return node
        found = [
            Opening(location, parts)
            for location, expression in work.with_.expressions
            if expression.plain and sensitive.holds_sealed(parts := self._at(expression.paths[0], id)[0])
        ]
        if not found:
            return node
        # A kind is a frozen dataclass, and those whose bodies workers run have `work` among its fields.
        how: Any = node.how
        return replace(node, how=replace(how, work=replace(work, opens=tuple(found))))

    def faults(self, reads: list[Read], output: Template | None) -> Iterator[Fault]:
        """Each expression that would look into something sealed, or give it to what cannot open it."""
        handed: dict[str, bool] = {}
        templates = [(f"steps.{id}.with", node.work.with_) for id, node in self.nodes.items()
                     if _runs_a_body(node) and node.work is not None]  # fmt: skip
        for at, template in (*templates, ("output", output)):
            for location, _ in template.expressions if template is not None else ():
                assert template is not None
                handed[place(at, location)] = is_one_expression(_text(template.value, location))
        for step, expression, at in reads:
            lists = step is not None and at == f"steps.{step}.foreach"
            yield from self._of(step, expression, at, alone=handed.get(at), lists=lists)

    def _of(
        self, step: str | None, expression: Expression, at: str, *, alone: bool | None, lists: bool
    ) -> Iterator[Fault]:
        """alone: whether it is all of its text, where a sealed part may be handed on; None: it may not be there. lists:
        it gives the list of a `foreach`."""
        for path, has in expression.read:
            parts, sealed = self._at(path, step)
            if sealed is None and has and sensitive.is_sealed(parts):
                sealed = path
            if sealed is not None:
                yield Fault(at, f"{write_path(path)}: {write_path(sealed)} is sensitive: {_HOW}")
            elif has:
                continue
            elif sensitive.holds_sealed(parts):
                fits = expression.plain and (alone is True or (lists and not sensitive.is_sealed(parts)))
                if not fits:
                    what = "is" if sensitive.is_sealed(parts) else "holds what is"
                    yield Fault(at, f"{write_path(path)} {what} sensitive: {_HOW}")

    def _at(self, path: Path, step: str | None) -> tuple[Parts, Path | None]:
        """(what is known of the end of a path; the part on the way to it that is sealed, or None)."""
        parts, start = self._start(path, step)
        for index in range(start, len(path)):
            if sensitive.is_sealed(parts):
                return NOTHING, path[:index]
            parts = sensitive.below(parts, path[index])
        return parts, None

    def _start(self, path: Path, step: str | None) -> tuple[Parts, int]:
        if path[0] == "input":
            return self.input, 1
        if path[0] == "steps" and len(path) > 2 and path[2] == "output":
            return self.outputs.get(str(path[1]), NOTHING), 3
        if path[0] == "item" and step is not None:
            return self._item(step), 1
        return NOTHING, 1

    def _item(self, step: str) -> Parts:
        node = self.nodes.get(step)
        items = node.how.items if node is not None else None
        if items is None:
            return NOTHING
        found: Parts = ()
        for location, expression in items.expressions:
            if expression.plain:
                parts = self._at(expression.paths[0], None)[0]
                if location == ():
                    found += sensitive.below(parts, 0)
                else:
                    found += (_nested(location[1:], parts),)
        return found


def _runs_a_body(node: StepNode) -> bool:
    """Whether workers run a body for it that is given what is opened. The step that starts clocks keeps what it is
    given in tables of its own."""
    return node.kind in ("task", "foreach") and node.work is not None and node.work.uses != USES


def _output(node: StepNode, parts: Parts) -> Parts:
    if not parts or node.kind != "foreach":
        return parts
    return (Part(keys={"results": Part(items=list(parts))}),)


def _nested(location: Location, parts: Parts) -> Part:
    """What is known of a value that has these parts at a place below it."""
    part = Part(same=list(parts))
    for key in reversed(location):
        part = Part(items=[part]) if isinstance(key, int) else Part(keys={key: part})
    return part


def _text(value: Any, location: Location) -> str:
    for key in location:
        value = value[key]
    return str(value)
