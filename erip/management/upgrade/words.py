"""An upgrade's plan as text, and as JSON."""

from collections.abc import Iterator
from typing import Any

from erip.management.migration_lint import Old
from erip.management.upgrade.locks import NAMES, Mode, Work
from erip.management.upgrade.planning import Held, Phase, Plan, Step

_BESIDE = {
    Old.GOES_ON: (
        "Web processes, workers and leaders of the release before may run beside this one, for as long as you want."
    ),
    Old.BREAKS: (
        "No process of the release before may be left when the steps of the phase contract are applied: end them first."
    ),
    Old.UNKNOWN: (
        "Whether processes of the release before may run beside this one is not known. Look at what is named above."
    ),
}
_BACK = {
    Old.GOES_ON: (
        "Way back: open. Start the processes of the release before and end those of this one; leave the tables as they "
        "are, and do not call the old release's migrate."
    ),
    Old.BREAKS: (
        "Way back: closed, because a step of the phase contract is applied. What is left is a backup of before: "
        "docs/how-to/backups.md."
    ),
    Old.UNKNOWN: "Way back: not known. Look at what is named; `--before FILE` says what the release before has.",
}


def text(plan: Plan) -> str:
    """For people."""
    return "\n".join(_lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    if plan.ahead:
        yield f"The database is of a newer release: {len(plan.ahead)} of its migrations are not in this code."
        yield from (f"  {name}" for name in plan.ahead)
        yield "This code adds nothing to it. Whether it can work with it, the newer release's upgrade --plan says."
        yield ""
    if not plan.steps:
        yield "Nothing to migrate: the database has all migrations of this code."
    for number, step in enumerate(plan.steps, 1):
        yield f"{number}. {step.name}: {step.phase}" + ("" if step.atomic else ", not in one transaction")
        yield from (f"     {line}" for line in _of_step(step))
    if plan.backfills:
        yield ""
        yield "In the background (manage.py backfill run):"
        yield from (f"  {one.name}: {one}" for one in plan.backfills)
    yield ""
    yield from _judgement(plan)


def _judgement(plan: Plan) -> Iterator[str]:
    if plan.steps:
        yield _BESIDE[plan.beside]
    if plan.living:
        yield f"At work now (web processes are not seen here): {', '.join(plan.living)}."
    if any(step.contracts for step in plan.steps):
        yield from _contracting(plan)
    if any(step.phase is Phase.CONTRACT for step in plan.steps):
        yield "To drain: SIGTERM; a worker hands back what it cannot finish, a web process answers what it has begun."
    elif plan.steps:
        yield "To drain before: nothing. Old workers end after the new ones are at work, and hand back what they hold."
    yield _BACK[plan.back]
    for step in plan.applied:
        yield from (f"  {step.name}: {what}" for what in (*step.breaks, *step.unseen))
    if plan.steps:
        yield (
            "Locks: a migration that does not get one is undone and tried again; others wait for it no longer than "
            "ERIP_DB_MIGRATION_LOCK_TIMEOUT. How long it is held then is a guess from the size of the table."
        )


def _contracting(plan: Plan) -> Iterator[str]:
    if not plan.in_the_way:
        yield "migrate applies the steps that contract at once; migrate --expand leaves them, and the way back open."
        return
    yield "migrate leaves the steps that contract for later, because:"
    yield from (f"  {one}" for one in plan.in_the_way)


def _of_step(step: Step) -> Iterator[str]:
    if step.contracts:
        yield f"contracts: {step.contracts}"
    for name in step.after:
        yield f"needs first: the backfill {name}"
    for name in step.backfills:
        yield f"declares: the backfill {name}, which manage.py backfill run does afterwards"
    for one in step.locks:
        yield held(one)
    if not step.locks:
        yield "locks: nothing that is in use"
    for what in step.breaks:
        yield f"the release before breaks: {what}"
    for what in step.unseen:
        yield f"not known: {what}"
    if not step.reversible:
        yield "cannot be undone by migrate"


def held(one: Held) -> str:
    """One lock in words."""
    if one.lock.mode is Mode.UNKNOWN:
        return f"locks: not known: {one.lock.said}"
    rows = f" ({one.rows:,} rows)" if one.rows else ""
    return f"locks: {one.lock.table or one.lock.said}{rows}: {NAMES[one.lock.mode]}, {_span(one)}"


def _span(one: Held) -> str:
    if one.seconds is None:
        return "for how long is not known"
    if one.seconds < 0.01:
        return "for a moment"
    why = "" if one.lock.work is Work.MOMENT else f" ({one.lock.work})"
    return f"for about {one.seconds:.1f} s{why}" if one.seconds < 100 else f"for about {one.seconds / 60:.0f} min{why}"


def document(plan: Plan) -> dict[str, Any]:
    """For programs."""
    return {
        "steps": [_step(step) for step in plan.steps],
        "applied": [_step(step) for step in plan.applied],
        "ahead": list(plan.ahead),
        "backfills": [
            {
                "name": one.name,
                "done": one.finished,
                "pass": one.number,
                "looked_at": one.looked_at,
                "changed": one.changed,
                "rows": one.rows,
            }
            for one in plan.backfills
        ],
        "living": list(plan.living),
        "in_the_way": list(plan.in_the_way),
        "beside": plan.beside.value,
        "back": plan.back.value,
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "phase": step.phase.value,
        "locks": [
            {
                "table": one.lock.table,
                "lock": NAMES[one.lock.mode],
                "does": one.lock.work.value,
                "seconds": one.seconds,
                "rows": one.rows,
            }
            for one in step.locks
        ],
        "breaks": list(step.breaks),
        "not_known": list(step.unseen),
        "backfills": list(step.backfills),
        "after": list(step.after),
        "contracts": step.contracts,
        "reversible": step.reversible,
        "atomic": step.atomic,
    }
