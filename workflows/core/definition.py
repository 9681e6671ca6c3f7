"""From the text of a definition to a Graph that is fit to run, or every fault at once.

`parse` reads the text, `validate` checks the document and compiles it. Both report all that they find. Some checks
depend on other parts (what a step may refer to depends on a graph without cycles); they run once those parts are right.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from erip.foundation.faults import Fault, join
from workflows.core import format, kinds, ordering, paths, rules
from workflows.core.declared import FORMAT, NONE, declared
from workflows.core.graph import Graph, NamedDeadline, StepInfo, StepNode
from workflows.core.kind import Kind
from workflows.core.reading import Reading, StepReading
from workflows.core.schema import Schema, SchemaInvalid, place
from workflows.core.sensitive import parts_of
from workflows.core.sensitive_reads import SensitiveReads
from workflows.core.source import Media, SourceInvalid, content_hash, read
from workflows.core.structure import did_you_mean, fault_of
from workflows.core.templates import Template

__all__ = ["DefinitionInvalid", "content_hash", "parse", "schema", "validate"]

#: more faults than an author reads at once
MAX_FAULTS = 200


class DefinitionInvalid(ValueError):
    """The definition cannot be published; `faults` lists everything that is wrong, each with its place."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        every = list(dict.fromkeys(faults))
        self.faults = every[:MAX_FAULTS]
        if len(every) > MAX_FAULTS:
            self.faults.append(Fault("", f"and {len(every) - MAX_FAULTS:,} more"))
        super().__init__("; ".join(map(str, self.faults)))


def parse(source: str | bytes, media: Media) -> dict[str, Any]:
    """The document in a YAML or JSON text of at most 256 KiB; raises DefinitionInvalid."""
    try:
        return read(source, media)
    except SourceInvalid as error:
        raise DefinitionInvalid(error.faults) from error


def validate(document: dict[str, Any], steps: Mapping[str, StepInfo], *, stored: bool = False) -> Graph:
    """The graph that `document` describes, over the registered `steps`; raises DefinitionInvalid with every fault.

    stored: it was published before, maybe by a release that knew less about what cannot be, and is only read.
    """
    return _Check(document, steps).graph(stored)


def schema() -> dict[str, Any]:
    """The definition format as a JSON Schema, with all kinds of steps that are registered."""
    return _format(kinds.registered())[0]


@lru_cache(maxsize=8)
def _format(registered: tuple[type[Kind], ...]) -> tuple[dict[str, Any], Schema]:
    document = format.definition_schema(registered, kinds.default(), {"clocks": FORMAT})
    return document, Schema.compile(document)


class _Check(Reading):
    """One pass over one document. Each method reads one part and adds what is wrong with it to `faults`."""

    def __init__(self, document: Any, registered: Mapping[str, StepInfo]) -> None:
        schema, compiled = _format(kinds.registered())
        violations = compiled.violations(document, limit=sys.maxsize)  # all: we rely on the unbroken parts
        faults = [fault_of(violation, schema) for violation in violations]
        super().__init__(document, registered, {violation.location for violation in violations}, faults)
        self.declared = NONE
        clocks = self.document.get("clocks")
        if isinstance(clocks, list) and self.sound("clocks"):
            # Note [Clocks are steps] in `declared`.
            self.declared = declared(clocks, self.steps)
            self.steps.update(self.declared.steps)

    def graph(self, stored: bool) -> Graph:
        needs = {id: self._needs(id, step) for id, step in self.steps.items()}
        circles = ordering.cycles(needs)
        for circle in circles:
            self.fault(f"steps.{circle[-2]}.needs", f"cycle {' -> '.join(circle)}")
        order = list(self.steps) if circles else ordering.topological(needs)
        known = None if circles else ordering.ancestors(needs, order)
        self._essential(needs)
        input_check = self._input()
        nodes = {id: self._step(id, needs[id], known) for id in order if ("steps", id) not in self.broken}
        if not self.faults:
            nodes.update(self._clocks_alone(nodes))
        output = self._output()
        on = self._on(input_check, stored)
        self._signals(on, nodes)
        self._guards(nodes, known)
        if not stored:
            self.faults.extend(
                paths.faults(self.reads, nodes, self.document.get("input"), self.registered, self.budget)
            )
        nodes, sealing = self._sensitive(nodes, output, stored)
        timeout = self.duration(("timeout",), self.document.get("timeout"))
        deadlines = self._deadlines()
        retention = self._retention()
        if self.faults:
            raise DefinitionInvalid(map(self.declared.named, self.faults))
        return Graph(
            name=self.document["name"],
            lane=self.document.get("lane", format.DEFAULT_LANE),
            timeout=timeout,
            input_schema=self.document.get("input"),
            steps=MappingProxyType({id: node for id, node in nodes.items() if node}),
            output=output,
            dependents=MappingProxyType(_dependents(needs, order)),
            description=self.document.get("description", ""),
            input_check=input_check,
            rules=on,
            deadlines=deadlines,
            clocks=tuple(clock["obligation"] for clock in self.document.get("clocks", ())),
            sensitive=sealing.input,
            seals=sealing.any,
            hides_key=self.sound("business_key") and self.document.get("business_key", {}).get("sensitive") is True,
            retention=retention,
            watching=tuple(id for id, node in nodes.items() if node is not None and node.how.watches),
        )

    # --- the graph

    def _needs(self, id: str, step: dict[str, Any]) -> tuple[str, ...]:
        """The steps that `id` needs, without those that do not exist."""
        needs, found = step.get("needs", []), []
        if not isinstance(needs, list):
            return ()
        for index, need in enumerate(needs):
            at = f"steps.{id}.needs[{index}]"
            if not isinstance(need, str):
                continue  # the structure check reports it
            if need not in self.steps:
                self.fault(at, f'no step "{need}"{did_you_mean(need, self.steps)}')
            elif need == id:
                self.fault(at, "a step cannot need itself")
            elif need not in found:
                found.append(need)
        return tuple(found)

    def _essential(self, needs: Mapping[str, tuple[str, ...]]) -> None:
        essential = {id for id, step in self.steps.items() if step.get("essential", True) is not False}
        for id in self.steps:
            for need in needs[id]:
                if id in essential and need not in essential:
                    at = f"steps.{id}.needs[{self.steps[id]['needs'].index(need)}]"
                    self.fault(at, f'"{need}" is not essential: it runs after the outcome, "{id}" before it')
        if self.steps and not essential - self.declared.steps.keys():
            self.fault("steps", "at least one step must be essential: the run's outcome is theirs")

    def _step(self, id: str, needs: tuple[str, ...], known: Mapping[str, frozenset[str]] | None) -> StepNode | None:
        reading = StepReading(self, id, known)
        kind = kinds.of(reading.step)
        condition = reading.condition("if")
        if isinstance(kind, list):
            reading.fault("", f"has {' and '.join(kind)}, which do not go together: a step is of one kind")
            return None
        self._strange_keys(reading, kind)
        how = kind.check(reading)
        if how is None:
            return None
        return StepNode(id, needs, condition, reading.step.get("essential", True) is not False, how)

    def _strange_keys(self, reading: StepReading, kind: type[Kind]) -> None:
        """Keys that go with another kind of step."""
        for key in reading.step:
            if key in kind.keys or key in format.STEP_KEYS:
                continue
            markers = [other.marker for other in kinds.registered() if key in other.keys]
            if kind.marker not in markers and any(marker in reading.step for marker in markers):
                reading.fault(key, f"does not go with {kind.marker}")
            elif markers:
                reading.fault(key, f"goes with {' or '.join(markers)}, which this step does not have")

    def _clocks_alone(self, nodes: Mapping[str, StepNode | None]) -> dict[str, StepNode]:
        """Note [Each clock alone] in `declared`."""
        found: dict[str, StepNode] = {}
        for id in self.declared.steps:
            node = nodes[id]
            work = node.how.work if node is not None else None
            if node is not None and work is not None and work.with_ is not None and isinstance(node.how, kinds.Task):
                alone = self.declared.each_alone(id, work.with_)
                found[id] = replace(node, how=replace(node.how, work=replace(work, with_=alone)))
        return found

    # --- what surrounds the steps

    def _output(self) -> Template | None:
        if "output" not in self.document:
            return None
        template, expressions = self.template(self.document["output"], "output")
        for location, expression in expressions:
            at = place("output", location)
            for other in sorted(expression.references):
                if other not in self.steps:
                    self.fault(at, f'no step "{other}"{did_you_mean(other, self.steps)}')
                elif self.steps[other].get("essential", True) is False:
                    self.fault(at, f'reads "{other}", which is not essential: it runs after the outcome')
            self.reads.append((None, expression, at))
        return template

    def _on(self, input_check: Schema | None, stored: bool) -> tuple[rules.Rule, ...]:
        name = self.document.get("name")
        document = self.document.get("on")
        if not isinstance(document, list | dict):
            return ()
        found, faults = rules.compile_rules(document, str(name), input_check, budget=None if stored else self.budget)
        self.faults.extend(faults)
        return found

    def _deadlines(self) -> tuple[NamedDeadline, ...]:
        if "deadlines" not in self.document or not self.sound("deadlines"):
            return ()
        found: list[NamedDeadline] = []
        for name, given in self.document["deadlines"].items():
            by = given["by"]
            if by not in self.steps:
                self.fault(join(join("deadlines", name), "by"), f'no step "{by}"{did_you_mean(by, self.steps)}')
            within = self.duration(("deadlines", name, "within"), given.get("within"))
            found.append(NamedDeadline(name, by, within))
        return tuple(found)

    def _retention(self) -> Mapping[str, float]:
        if "retention" not in self.document or not self.sound("retention"):
            return {}
        given: dict[str, Any] = self.document["retention"]
        kept = {kind: self.duration(("retention", kind), given[kind]) for kind in given}
        return {kind: seconds for kind, seconds in kept.items() if seconds is not None}

    def _signals(self, on: tuple[rules.Rule, ...], nodes: Mapping[str, StepNode | None]) -> None:
        """A rule gives only signals that some step waits for."""
        if None in nodes.values() or len(nodes) < len(self.steps):
            return  # what waits is not known
        known = {signal for node in nodes.values() if node is not None for signal in node.how.signals}
        for rule in on:
            if rule.signalling is not None and rule.signalling.name not in known:
                at = rule.label.partition(": ")[2]
                self.fault(f"{at}.signal", rules.unknown_signal(rule.signalling.name, known))

    def _guards(self, nodes: Mapping[str, StepNode | None], known: Mapping[str, frozenset[str]] | None) -> None:
        """What an approval guards comes after it, and reads only what is known when it begins: that is approved."""
        for id, step in self.steps.items():
            approval = step.get("guarded_by")
            if not isinstance(approval, str) or not self.sound("steps", id, "guarded_by"):
                continue
            at = f"steps.{id}.guarded_by"
            node = nodes.get(approval)
            if approval not in self.steps:
                self.fault(at, f'no step "{approval}"{did_you_mean(approval, self.steps)}')
            elif node is not None and node.kind != kinds.Approval.name:
                self.fault(at, f'"{approval}" is no approval')
            elif known is not None and approval not in known[id]:
                self.fault(at, f'"{id}" does not need "{approval}": add it to needs')
            elif known is not None:
                for reader, expression, place_ in self.reads:
                    if reader == id and place_.startswith(f"steps.{id}.with"):
                        for other in sorted(expression.references - known[approval]):
                            message = f'reads "{other}", which may not have ended when "{approval}" begins'
                            self.fault(place_, message)

    def _sensitive(
        self, nodes: Mapping[str, StepNode | None], output: Template | None, stored: bool
    ) -> tuple[dict[str, StepNode | None], SensitiveReads]:
        known = {id: node for id, node in nodes.items() if node is not None}
        found = SensitiveReads(known, parts_of(self.document.get("input")), self.registered)
        if not found.any:
            return dict(nodes), found
        if not stored:
            self.faults.extend(found.faults(self.reads, output))
        return {**nodes, **found.opening()}, found

    def _input(self) -> Schema | None:
        if "input" not in self.document or not self.sound("input"):
            return None
        try:
            return Schema.compile(self.document["input"], at="input")
        except SchemaInvalid as error:
            self.faults.extend(error.faults)
            return None


def _dependents(needs: Mapping[str, tuple[str, ...]], order: list[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {id: [] for id in order}
    for id in order:
        for need in needs[id]:
            found[need].append(id)
    return {id: tuple(after) for id, after in found.items()}
