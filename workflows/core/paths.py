"""What can be known at publication about the paths that expressions read: into the input, into the outputs of steps,
and into the items of a `foreach`. Note [Ruled out] in `shapes` says what counts as known.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from erip.foundation.faults import Fault
from workflows.core.expressions import Expression, Path, write_path
from workflows.core.graph import StepInfo, StepNode
from workflows.core.shapes import Budget, Shape, has_instead, literal, ruled_out
from workflows.core.templates import Template

#: (the id of the step that reads, or None; the expression; its place)
Read = tuple[str | None, Expression, str]


def faults(
    reads: Iterable[Read],
    nodes: Mapping[str, StepNode | None],
    input_schema: Any,
    registered: Mapping[str, StepInfo],
    budget: Budget,
) -> list[Fault]:
    """Each path that cannot be there. nodes: the steps, of which those that are wrong are None."""
    known = _Known(nodes, input_schema, registered, budget)
    return [
        Fault(at, message)
        for step, expression, at in reads
        for path in expression.paths
        for message in known.ruled_out(path, step)
    ]


class _Known:
    """What is known of everything that expressions read."""

    def __init__(
        self,
        nodes: Mapping[str, StepNode | None],
        input_schema: Any,
        registered: Mapping[str, StepInfo],
        budget: Budget,
    ) -> None:
        self.nodes = nodes
        self.registered = registered
        self.budget = budget
        self.input = Shape.of({} if input_schema is None else input_schema, budget)
        self._outputs: dict[str, Shape] = {}
        self._items: dict[str, Shape | None] = {}
        self._asked: dict[tuple[Path, str | None], list[str]] = {}

    def ruled_out(self, path: Path, step: str | None) -> list[str]:
        """Why there can be nothing at `path`, which an expression of `step` reads; empty if there may be."""
        key = (path, step if path[0] == "item" else None)
        if key not in self._asked:
            self._asked[key] = list(self._ruled_out(path, step))
        return self._asked[key]

    def _ruled_out(self, path: Path, step: str | None) -> Iterator[str]:
        shape, start = self._shape(path, step)
        found = ruled_out(shape, path[start:]) if shape is not None else None
        if found is None:
            return
        index, lacking = found
        missing = write_path(path[: start + index + 1])
        hint = has_instead(path[start + index], lacking)
        if path[0] == "input" and not hint.startswith(": it is"):
            yield f"the input has no {missing}: its schema allows no such key{hint.replace(': it has', '; it has')}"
        else:
            yield f"there is no {missing}{hint}"

    def _shape(self, path: Path, step: str | None) -> tuple[Shape | None, int]:
        """(what is known of the beginning of `path`, the length of that beginning)."""
        if path[0] == "input":
            return self.input, 1
        if path[0] == "steps" and path[2] == "output":
            return self._output(str(path[1])), 3
        if path[0] == "item" and step is not None:
            return self._item(step), 1
        return None, 0

    def _output(self, id: str) -> Shape | None:
        node = self.nodes.get(id)
        if node is None:
            return None
        if id not in self._outputs:
            self._outputs[id] = Shape.of(node.how.output(self.registered), self.budget)
        return self._outputs[id]

    def _item(self, id: str) -> Shape | None:
        if id not in self._items:
            node = self.nodes.get(id)
            items = node.how.items if node is not None else None
            self._items[id] = self._each(items, id) if items is not None else None
        return self._items[id]

    def _each(self, items: Template, id: str) -> Shape | None:
        """What is known of each item of the list that a template gives."""
        if isinstance(items.value, list):
            places = [location for location, _ in items.expressions]
            return Shape.of(literal(items.value, places), self.budget).each()
        if len(items.expressions) != 1 or not items.expressions[0][1].plain:
            return None
        path = items.expressions[0][1].paths[0]
        shape, start = self._shape(path, id)
        for key in path[start:] if shape is not None else ():
            shape = shape.at(key)  # type: ignore[union-attr]  # it is a shape from the start
        each = shape.each() if shape is not None else None
        return each if each is not None and each.possible else None
