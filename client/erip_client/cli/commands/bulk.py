"""Many runs at once: cancel, retry, pause or resume all that a filter matches, and see what became of each."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import typer

from erip_client.models import Batch, BatchPreview, RunFilter

from ..exits import Exit
from ..filters import in_words
from ..session import Session, command
from ..words import since, took
from .runs import Clock, Reason, Timeout, run_ids

Ids = Annotated[list[str] | None, typer.Argument(metavar="[RUN]...", help="Only these; - reads ids from input.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count them; nothing is done.")]
Expect = Annotated[
    int | None, typer.Option("--expect", min=0, metavar="COUNT", help="Refuse (status 7) if it is another number.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Print the batch's id, and do not follow it.")]
#: outcomes after which a run is as it was meant to be
WELL = frozenset(
    {"cancelled", "retried", "paused", "resumed", "already_ended", "already_retried", "already_paused", "not_paused"}
)
_PAUSE = 0.5
#: runs whose outcome was another are listed up to here
_LISTED = 20


def register(app: typer.Typer) -> None:
    group = next(one.typer_instance for one in app.registered_groups if one.name == "runs")
    assert group is not None, "`runs` is registered before"
    command(group, "cancel", selects=True)(cancel)
    command(group, "retry", selects=True)(retry)
    command(group, "pause", selects=True)(pause)
    command(group, "resume", selects=True)(resume)
    command(app, "batches")(batches)


def cancel(
    erip: Session,
    filter: dict[str, Any],
    run: Ids = None,
    dry_run: DryRun = False,
    expect: Expect = None,
    reason: Reason = "",
    yes: Yes = False,
    no_wait: NoWait = False,
    timeout: Timeout = None,
) -> None:
    """Cancel all runs that have not ended and that the options name. Asks first, with their number."""
    how = _How("cancel", dry_run, expect, reason, yes, no_wait, timeout)
    _change(erip, erip.client.cancel_runs, _filter(filter, run), how)


def retry(
    erip: Session,
    filter: dict[str, Any],
    run: Ids = None,
    dry_run: DryRun = False,
    expect: Expect = None,
    reason: Reason = "",
    yes: Yes = False,
    no_wait: NoWait = False,
    timeout: Timeout = None,
) -> None:
    """Run all FAILED and TIMED_OUT runs again that the options name, each once. Asks first, with their number."""
    how = _How("retry", dry_run, expect, reason, yes, no_wait, timeout)
    _change(erip, erip.client.retry_runs, _filter(filter, run), how)


def pause(
    erip: Session,
    filter: dict[str, Any],
    run: Ids = None,
    clock: Clock = "stop",
    dry_run: DryRun = False,
    expect: Expect = None,
    reason: Reason = "",
    yes: Yes = False,
    no_wait: NoWait = False,
    timeout: Timeout = None,
) -> None:
    """Let all runs that the options name begin nothing until they are resumed. Asks first, with their number."""
    how = _How("pause", dry_run, expect, reason, yes, no_wait, timeout)
    _change(erip, partial(erip.client.pause_runs, clock=clock), _filter(filter, run), how)


def resume(
    erip: Session,
    filter: dict[str, Any],
    run: Ids = None,
    dry_run: DryRun = False,
    expect: Expect = None,
    reason: Reason = "",
    yes: Yes = False,
    no_wait: NoWait = False,
    timeout: Timeout = None,
) -> None:
    """Let all paused runs that the options name go on. Asks first, with their number."""
    how = _How("resume", dry_run, expect, reason, yes, no_wait, timeout)
    _change(erip, erip.client.resume_runs, _filter(filter, run), how)


def batches(
    erip: Session,
    id: Annotated[str | None, typer.Argument(metavar="[BATCH]", help="Show this one.")] = None,
    runs: Annotated[bool, typer.Option("--runs", help="What became of each of its runs.")] = False,
    outcome: Annotated[str | None, typer.Option("--outcome", help="Only runs with this outcome.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many.")] = 20,
) -> None:
    """List operations on many runs, or show one."""
    if id is None:
        if runs or outcome:
            raise typer.BadParameter("--runs and --outcome need the BATCH.")
        found = erip.client.list_batches(limit=min(limit, 200))
        if erip.out.as_json:
            return erip.out.document(found)
        rows = [(one.id, one.operation, one.status, one.count, since(one.created_at), one.created_by, one.reason)
                for one in found.items]  # fmt: skip
        return erip.out.table(("BATCH", "DOES", "STATUS", "RUNS", "AGE", "BY", "REASON"), rows, cut=("REASON", "BY"))
    if runs or outcome:
        return _runs(erip, id, outcome, limit)
    batch = erip.client.get_batch(id)
    return erip.out.document(batch) if erip.out.as_json else _show(erip, batch)


def _filter(given: dict[str, Any], ids: list[str] | None) -> RunFilter:
    found: RunFilter = {**given, **({"ids": run_ids(ids)} if ids else {})}  # type: ignore[typeddict-item]
    if not found:
        raise typer.BadParameter("Say which runs: --workflow, --state, --error-code, ids, or another filter.")
    return found


@dataclass(frozen=True)
class _How:
    """What the options say."""

    verb: str
    dry_run: bool
    expect: int | None
    reason: str
    yes: bool
    no_wait: bool
    timeout: float | None


def _change(erip: Session, begin: Callable[..., Batch | BatchPreview], wanted: RunFilter, how: _How) -> None:
    if how.dry_run:
        return _preview(erip, begin(wanted, dry_run=True))
    expect = how.expect
    if not how.yes and expect is None:
        # What is answered is about this number: if it is another one meanwhile, nothing is done.
        expect = _asked(begin(wanted, dry_run=True), how.verb, in_words(dict(wanted)))
    batch = begin(wanted, reason=how.reason, expected_count=expect)
    assert isinstance(batch, Batch), "only a dry run is answered with a preview"
    if how.no_wait:
        return erip.out.document(batch) if erip.out.as_json else erip.out.line(batch.id)
    batch = _followed(erip, batch, how.timeout)
    if erip.out.as_json:
        erip.out.document(batch)
    else:
        _show(erip, batch)
        if set(batch.outcomes) - WELL:
            _runs(erip, batch.id, None, _LISTED, only_bad=True)
    raise typer.Exit(Exit.FAILED if set(batch.outcomes) - WELL else Exit.OK)


def _asked(found: Batch | BatchPreview, verb: str, words: str) -> int:
    """The number that was agreed to. Ends the program if it was not."""
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"{found.count} runs match. Without a terminal, say --yes or --expect {found.count}.")
    if not typer.confirm(f"{verb} {found.count} runs ({words})?", err=True):
        raise typer.Exit(Exit.INTERRUPTED)
    return found.count


def _preview(erip: Session, found: Batch | BatchPreview) -> None:
    if erip.out.as_json or not isinstance(found, BatchPreview):
        return erip.out.document(found)
    erip.out.line(f"{found.count} runs. Nothing was done.", "bold")
    rows = [*sorted(found.by_workflow.items()), *sorted(found.by_status.items())]
    return erip.out.table(("OF", "RUNS"), rows) if rows else None


def _followed(erip: Session, batch: Batch, timeout: float | None) -> Batch:
    """The batch when it is done, or has waited too long; it goes on by itself."""
    until = None if timeout is None else time.monotonic() + timeout
    said = ""
    while not batch.done:
        if until is not None and time.monotonic() > until:
            erip.out.note(f"The batch {batch.id} goes on: erip batches {batch.id}")
            raise typer.Exit(Exit.TIMEOUT)
        now = f"{batch.count - batch.outcomes.get('pending', 0)} of {batch.count} runs" + (
            f", waits for {batch.waits_for}" if batch.waits_for else ""
        )
        if now != said:
            erip.out.note(now)
            said = now
        time.sleep(_PAUSE)
        batch = erip.client.get_batch(batch.id)
    return batch


def _show(erip: Session, batch: Batch) -> None:
    spent = took(batch.created_at, batch.finished_at)
    erip.out.line(f"{batch.operation} {batch.count} runs: {batch.status}{f' in {spent}' if spent else ''}", "bold")
    by = f"batch {batch.id}  by {batch.created_by}"
    erip.out.line(f"{by}  {batch.reason}" if batch.reason else by, "dim")
    if batch.waits_for:
        erip.out.line(f"waits for {batch.waits_for}")
    if batch.outcomes:
        erip.out.table(("OUTCOME", "RUNS"), sorted(batch.outcomes.items()))


def _runs(erip: Session, id: str, outcome: str | None, limit: int, *, only_bad: bool = False) -> None:
    found = []
    for one in erip.client.pages(erip.client.list_batch_runs, id, outcome=outcome, limit=200):
        if not only_bad or one.outcome not in WELL:
            found.append(one)
        if len(found) == limit:
            break
    if erip.out.as_json:
        return erip.out.document({"items": found})
    rows = [(one.run, one.outcome, one.result or "", one.detail or "") for one in found]
    return erip.out.table(("RUN", "OUTCOME", "RETRY", "DETAIL"), rows, cut=("DETAIL",))
