"""The rules in force, as rows for people: those of definitions beside stored ones, in the order in which they are
asked."""

from collections.abc import Iterator
from dataclasses import dataclass

from workflows.core.rules import Rule
from workflows.events.active import active


@dataclass(frozen=True, slots=True)
class Shown:
    """One rule. stored: the name of the stored rule that it is; "" for one of a definition."""

    workflow: str
    stored: str
    place: str
    event: str
    source: str
    condition: str
    action: str
    extras: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that cannot be used, and why."""

    name: str
    problem: str


_STORED = "trigger "


def rules() -> Iterator[Shown]:
    """All of them, workflow by workflow; of one workflow, the first that matches an event decides."""
    for rule in active().book.rules:
        stored = rule.label.removeprefix(_STORED) if rule.label.startswith(_STORED) else ""
        yield Shown(
            rule.workflow,
            stored,
            "" if stored else rule.label.removeprefix(f"{rule.workflow}: "),
            rule.event,
            rule.source or "",
            rule.condition.source if rule.condition else "",
            str(rule.action),
            ", ".join(_extras(rule)),
        )


def count() -> int:
    return len(active().book)


def left_out() -> list[LeftOut]:
    return [LeftOut(name, problem) for name, problem in sorted(active().left_out.items())]


def _extras(rule: Rule) -> Iterator[str]:
    if rule.lane:
        yield f"lane {rule.lane}"
    if rule.window:
        yield f"{'debounce' if rule.window.extends else 'dedupe'} {_long(rule.window.seconds)}"
    if (gathering := rule.gathering) is not None and gathering.all:
        yield f"collect {_long(gathering.seconds)}, at most {gathering.most_events:,}"
    elif gathering is not None:
        yield f"debounce {_long(gathering.seconds)}, at most {_long(gathering.most_seconds)}"
    if rule.signalling is not None:
        yield f"signal {rule.signalling.name}"
    if rule.business_key is not None:
        yield "with a business key"
    if rule.deadline is not None:
        yield "with a deadline"


def _long(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
