"""`approval`: people decide. No worker runs anything for it.

Note [Approvals]
When the step begins, everything that approvers are to see is rendered once: title, description, evidence, and the input
of each step that it guards. That is the step's input, and its SHA-256 is what votes are bound to. The engine opens an
approval task in the same transaction. Who may vote, and what votes amount to, is decided outside of the machine
(`workflows.people`), which hands in the answer as StepAnswered.
An approval that nobody decides in time has expired. That never approves: by default the step fails, and with
`on_expiry: continue` its output says `approved: false`.
A step with `guarded_by` begins only if the approval was given and its input is still the one that was approved, byte
for byte.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from erip.foundation.faults import Fault
from workflows.core.graph import StepInfo, StepNode
from workflows.core.kind import Kind
from workflows.core.kinds.approval_format import APPROVAL, MAX_SEATS
from workflows.core.kinds.guard import guarded
from workflows.core.machine import NO_ITEM, Event, Opened, StepAnswered, StepDue, StepHappening, StepView
from workflows.core.quorum import Quorum
from workflows.core.schema import Schema, SchemaInvalid
from workflows.core.sensitive import NOTHING, Part, Parts, parts_of
from workflows.core.source import content_hash
from workflows.core.states import StepState
from workflows.core.templates import Template

if TYPE_CHECKING:
    from workflows.core.machine import Deciding
    from workflows.core.reading import StepReading


@dataclass(frozen=True, slots=True)
class Rung:
    """Whom to notify, and when. after: seconds from the beginning. to: a group; None: those who have not voted."""

    after: float
    to: str | None


@dataclass(frozen=True)
class Approval(Kind):
    name: ClassVar[str] = "approval"
    marker: ClassVar[str] = "approval"
    keys: ClassVar[Mapping[str, Any]] = {"approval": APPROVAL}
    required: ClassVar[tuple[str, ...]] = ("approval",)
    level: ClassVar[int] = 7
    asks_people: ClassVar[bool] = True  # type: ignore[misc]

    title: Template
    quorum: Quorum
    description: Template | None = None
    evidence: Template | None = None
    #: of the form that a vote fills in; None: there is none
    form: Schema | None = None
    form_schema: Mapping[str, Any] | None = None
    #: which parts of it are sealed
    form_parts: Parts = field(default=NOTHING, compare=False)
    #: seconds; None is no limit
    sla: float | None = None
    fails_expired: bool = True
    fails_refused: bool = True
    #: in the order of their times
    ladder: tuple[Rung, ...] = field(default=())

    @classmethod
    def check(cls, reading: "StepReading") -> Self | None:
        if not reading.sound("approval"):
            return None
        given: dict[str, Any] = reading.step["approval"]
        if "on_expiry" in given and "sla" not in given:
            reading.fault("approval.on_expiry", "goes with sla, which this approval does not have")
        title = reading.template("approval", "title")
        description = reading.template("approval", "description") if "description" in given else None
        evidence = reading.template("approval", "evidence") if "evidence" in given else None
        sla = reading.duration("approval", "sla")
        if title is None:
            return None
        return cls(
            title=title,
            quorum=_quorum(reading, given),
            description=description,
            evidence=evidence,
            form=_form(reading, given),
            form_schema=given.get("form"),
            form_parts=parts_of(given.get("form")),
            sla=sla,
            fails_expired=given.get("on_expiry", "fail") == "fail",
            fails_refused=given.get("on_refusal", "fail") == "fail",
            ladder=_ladder(reading, given, sla),
        )

    def begin(self, deciding: "Deciding", node: StepNode) -> None:
        context = deciding.context()
        shown: dict[str, Any] = {"title": str(self.title.render(context))}
        if self.description is not None:
            shown["description"] = str(self.description.render(context))
        if self.evidence is not None:
            shown["evidence"] = self.evidence.render(context)
        guards = list(guarded(deciding, node.id))
        if guards:
            shown["runs"] = {id: what for id, what, _ in guards}
        content = content_hash(shown)
        progress = {
            "content": content,
            "guards": {id: content_hash(what) for id, what, can_run in guards if can_run},
        }
        due_at = deciding.now + timedelta(seconds=self.sla) if self.sla is not None else None
        view = StepView(StepState.WAITING, output=progress)
        deciding.set(node.id, NO_ITEM, view, due_at=due_at, input=shown)
        roles = tuple(sorted(self.quorum.roles))
        deciding.opened.append(Opened(node.id, shown["title"], content, self.quorum.size, roles, first=0.0))

    def happened(self, deciding: "Deciding", node: StepNode, happening: StepHappening) -> None:
        view = deciding.steps.get((happening.step, happening.item))
        if view is None or view.state is not StepState.WAITING:
            deciding.discarded.append(happening)
        elif isinstance(happening, StepAnswered):
            detail = {"approved": happening.approved, "votes": list(happening.votes)}
            deciding.events.append(Event("step.answered", node.id, detail=detail))
            fault = None
            if not happening.approved and self.fails_refused:
                fault = {"code": "approval_refused", "message": "the approval was refused"}
            self._end(deciding, node, view, fault, approved=happening.approved, votes=list(happening.votes))
        elif isinstance(happening, StepDue):
            fault = None
            if self.fails_expired:
                fault = {"code": "approval_expired", "message": f"nobody decided within {self.sla:g} s"}
            self._end(deciding, node, view, fault, expired=True)
        else:
            deciding.discarded.append(happening)

    def _end(
        self,
        deciding: "Deciding",
        node: StepNode,
        view: StepView,
        fault: Mapping[str, Any] | None,
        *,
        approved: bool = False,
        expired: bool = False,
        votes: list[Mapping[str, Any]] | None = None,
    ) -> None:
        output = {**(view.output or {}), "approved": approved, "expired": expired, "votes": votes or []}
        state = StepState.FAILED if fault else StepState.SUCCEEDED
        deciding.set(node.id, NO_ITEM, replace(view, state=state, output=output), fault)
        deciding.closed[node.id] = "expired" if expired else "approved" if approved else "refused"

    def stop(self, deciding: "Deciding", node: StepNode, view: StepView) -> None:
        deciding.set(node.id, NO_ITEM, replace(view, state=StepState.CANCELLED))
        deciding.closed[node.id] = "withdrawn"

    def form_faults(self, filled: Any) -> list[Fault]:
        """Everything that is wrong with a filled-in form; paths like `form.reason`."""
        if self.form is None:
            return [] if filled is None else [Fault("form", "there is no form to be filled in")]
        return self.form.faults({} if filled is None else filled, at="form", sealed=self.form_parts)

    def sealed_output(self) -> Parts:
        if not self.form_parts:
            return NOTHING
        vote = Part(keys={"form": Part(same=list(self.form_parts))})
        return (Part(keys={"votes": Part(items=[vote])}),)

    def output(self, registered: Mapping[str, StepInfo]) -> Any:
        return {
            "type": "object",
            "properties": {
                "approved": {"type": "boolean"},
                "expired": {"type": "boolean"},
                "content": {"type": "string"},
                "guards": {"type": "object"},
                "votes": {"type": "array", "items": {"type": "object"}},
            },
            "required": ["approved", "expired", "content", "guards", "votes"],
        }

    def explain(self, view: StepView, due_at: datetime | None) -> str:
        if view.state is StepState.PAUSED:
            return "is paused with its run"
        seats = " and ".join(f"{count} of {role}" for role, count in self.quorum.seats.items())
        return f"waits for the approval of {seats}, " + (
            f"until {due_at.isoformat()}" if due_at is not None else "without a time limit"
        )


def _quorum(reading: "StepReading", given: Mapping[str, Any]) -> Quorum:
    seats: dict[str, int] = {}
    for index, one in enumerate(given["quorum"]):
        if one["role"] in seats:
            reading.fault(f"approval.quorum[{index}].role", f'"{one["role"]}" is there already: add up its count')
        seats[one["role"]] = seats.get(one["role"], 0) + int(one.get("count", 1))
    if sum(seats.values()) > MAX_SEATS:
        reading.fault("approval.quorum", f"has {sum(seats.values())} seats: at most {MAX_SEATS}")
    return Quorum(seats, frozenset(given.get("veto", ())))


def _form(reading: "StepReading", given: Mapping[str, Any]) -> Schema | None:
    if "form" not in given:
        return None
    try:
        return Schema.compile(given["form"], at=f"{reading.at}.approval.form")
    except SchemaInvalid as error:
        reading.faults.extend(error.faults)
        return None


def _ladder(reading: "StepReading", given: Mapping[str, Any], sla: float | None) -> tuple[Rung, ...]:
    found: list[Rung] = []
    rungs: list[tuple[str, tuple[str | int, ...], str | None]] = [
        (f"remind[{index}]", ("remind", index), None) for index in range(len(given.get("remind", ())))
    ]
    rungs += [
        (f"escalate[{index}].after", ("escalate", index, "after"), one["to"])
        for index, one in enumerate(given.get("escalate", ()))
    ]
    for at, place, to in rungs:
        after = reading.duration("approval", *place)
        if after is None:
            continue
        if sla is not None and after >= sla:
            reading.fault(f"approval.{at}", f"comes after the sla of {sla:g} s, when nobody can decide any more")
        found.append(Rung(after, to))
    return tuple(sorted(found, key=lambda rung: rung.after))
