"""Groups of errors, as they are written: Note [Error groups] in `monitoring.core.groups`."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection, transaction
from django.db.models.functions import Now

from monitoring.core.fingerprints import Kind, Source, beyond
from monitoring.core.groups import (
    Definition,
    GroupState,
    Resolution,
    Tallies,
    Tally,
    is_regression,
    newest,
    read_links,
)
from monitoring.models import ErrorGroup, ErrorKey

#: kinds that are kept; errors of further ones are counted together, by source
MOST_GROUPS = 5_000
#: seconds for which the counts of minutes and hours are kept, and a group that is not seen
MINUTES_FOR, HOURS_FOR = 14 * 86_400, 400 * 86_400
MINUTE, HOUR = 60, 3_600
#: whoever makes groups holds this lock: two processes may meet the same new kind
_LOCK = 0x4552_4752


@dataclass(slots=True)
class Kept:
    """What became of some errors, by source: their number, kinds that are new, and resolved ones that came back."""

    errors: dict[Source, int] = field(default_factory=dict)
    new: dict[Source, int] = field(default_factory=dict)
    regressions: dict[Source, int] = field(default_factory=dict)


def keep_errors(tallies: Tallies, *, release: str, most: int = MOST_GROUPS) -> Kept:
    """Add them to their groups, and make those that are new. Within a transaction of the caller, or its own."""
    kept = Kept()
    if not len(tallies):
        return kept
    with transaction.atomic():
        by_group: dict[int, list[Tally]] = {}
        adopted: dict[int, Kind] = {}
        known = _known(tallies)
        if any(tally.kind.fingerprint not in known for tally in tallies):
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            # Somebody else may have made it meanwhile.
            known = _known(tallies)
            adopted = _make(tallies, known, kept, release=release, most=most)
        for tally in tallies:
            by_group.setdefault(known[tally.kind.fingerprint], []).append(tally)
            _count(kept.errors, tally.kind.source, tally.count)
        _update(by_group, adopted, kept, release)
        _add_counts(by_group)
    return kept


def _known(tallies: Iterable[Tally]) -> dict[str, int]:
    keys = {key for tally in tallies for key in (tally.kind.fingerprint, tally.kind.other) if key}
    return dict(ErrorKey.objects.filter(key__in=keys).values_list("key", "group_id"))


def _make(tallies: Tallies, known: dict[str, int], kept: Kept, *, release: str, most: int) -> dict[int, Kind]:
    """Find or make a group for each kind that has none; `known` has them all afterwards. Returns the groups of which
    more is known now."""
    room = most - ErrorGroup.objects.count()
    found = ErrorGroup.objects.filter(id__in=set(known.values())).values_list("fingerprint", "id")
    own: dict[str, int] = dict(found)
    keys: list[ErrorKey] = []
    adopted: dict[int, Kind] = {}
    for tally in tallies:
        kind = tally.kind
        if kind.fingerprint in known:
            continue
        if kind.other in own:
            # It was first seen without a traceback.
            number = own.pop(kind.other)
            adopted[number] = kind
        elif room <= 0:
            known[kind.fingerprint] = _overflow(tally, known, keys, release)
            continue
        else:
            room -= 1
            number = own[kind.fingerprint] = _group(tally, release)
            _count(kept.new, kind.source, 1)
            if kind.other and kind.other not in known:
                known[kind.other] = number
                keys.append(ErrorKey(key=kind.other, group_id=number))
        known[kind.fingerprint] = number
        keys.append(ErrorKey(key=kind.fingerprint, group_id=number))
    ErrorKey.objects.bulk_create(keys, ignore_conflicts=True)
    return adopted


def _overflow(tally: Tally, known: dict[str, int], keys: list[ErrorKey], release: str) -> int:
    """The group of kinds that are too many. It takes no key for each of them, so these are looked up each time."""
    kind = beyond(tally.kind.source)
    if (number := known.get(kind.fingerprint)) is not None:
        return number
    found = ErrorKey.objects.filter(key=kind.fingerprint).values_list("group_id", flat=True).first()
    if found is None:
        found = _group(Tally(kind, tally.first, tally.last), release)
        keys.append(ErrorKey(key=kind.fingerprint, group_id=found))
    known[kind.fingerprint] = found
    return found


def _group(tally: Tally, release: str) -> int:
    kind = tally.kind
    first = min(tally.definitions, key=lambda one: tally.definitions[one], default=None)
    made = ErrorGroup.objects.create(
        fingerprint=kind.fingerprint,
        source=str(kind.source),
        what=_storable(kind.what),
        code=_storable(kind.code),
        type=_storable(kind.type),
        title=_storable(kind.title),
        place=_storable(kind.place),
        why=[[name, _storable(value)] for name, value in kind.why],
        traceback=_storable(kind.traceback),
        count=0,
        first_seen=tally.first,
        last_seen=tally.last,
        first_release=release,
        last_release=release,
        first_definition=str(first or ""),
        last_definition=str(first or ""),
        links=[],
    )
    return made.id


def _update(by_group: Mapping[int, list[Tally]], adopted: Mapping[int, Kind], kept: Kept, release: str) -> None:
    # In one order, so that two processes never wait for each other.
    rows = list(ErrorGroup.objects.select_for_update().filter(id__in=by_group).order_by("id"))
    before = {row.id: row.traceback for row in rows}
    for row in rows:
        for tally in by_group[row.id]:
            _add(row, tally, kept, release)
        if (kind := adopted.get(row.id)) is not None:
            row.fingerprint, row.place, row.traceback = (
                kind.fingerprint,
                _storable(kind.place),
                _storable(kind.traceback),
            )
            row.why = [[name, _storable(value)] for name, value in kind.why]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE monitoring_errorgroup g SET
                count = n.count, first_seen = n.first_seen, last_seen = n.last_seen, last_release = n.last_release,
                last_definition = n.last_definition, links = n.links::jsonb, state = n.state,
                regressed_at = n.regressed_at, regressions = n.regressions, regression = n.regression,
                fingerprint = n.fingerprint, place = n.place, why = n.why::jsonb,
                traceback = coalesce(n.traceback, g.traceback)
            FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::text[],
                        %s::text[], %s::text[], %s::timestamptz[], %s::int[], %s::text[], %s::text[], %s::text[],
                        %s::text[], %s::boolean[])
                 AS n (id, count, first_seen, last_seen, last_release, last_definition, links, state, regressed_at,
                       regressions, fingerprint, place, why, traceback, regression)
            WHERE g.id = n.id
            """,
            [list(column) for column in zip(*(_columns(row, before[row.id]) for row in rows), strict=True)],
        )


def _columns(row: ErrorGroup, traceback: str) -> tuple[object, ...]:
    return (
        row.id, row.count, row.first_seen, row.last_seen, row.last_release, row.last_definition,
        json.dumps(row.links), row.state, row.regressed_at, row.regressions, row.fingerprint, row.place,
        json.dumps(row.why), row.traceback if row.traceback != traceback else None, row.regression,
    )  # fmt: skip


def _add(row: ErrorGroup, tally: Tally, kept: Kept, release: str) -> None:
    row.count += tally.count
    row.first_seen = min(row.first_seen, tally.first)
    row.links = [link.stored() for link in newest(read_links(row.links), tally.links)]
    if tally.last >= row.last_seen:
        if tally.kind.traceback and (release != row.last_release or not row.traceback):
            # As it looks in the code of today.
            row.traceback = _storable(tally.kind.traceback)
        row.last_seen, row.last_release = tally.last, release
        last = max(tally.definitions, key=lambda one: tally.definitions[one], default=None)
        row.last_definition = str(last or "") or row.last_definition
    resolution = _resolution(row)
    if resolution is not None and is_regression(resolution, tally.definitions, release):
        row.state, row.regressed_at = str(GroupState.OPEN), tally.last
        row.regression = True
        row.regressions += 1
        _count(kept.regressions, tally.kind.source, 1)


def _add_counts(by_group: Mapping[int, list[Tally]]) -> None:
    counts: dict[tuple[int, int, datetime], int] = {}
    for number, tallies in by_group.items():
        for tally in tallies:
            for minute, count in tally.minutes.items():
                for tier, at in ((MINUTE, minute), (HOUR, minute.replace(minute=0))):
                    counts[number, tier, at] = counts.get((number, tier, at), 0) + count
    rows = sorted(counts.items())
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO monitoring_errorcount AS c (group_id, tier, at, count)
            SELECT * FROM unnest(%s::bigint[], %s::smallint[], %s::timestamptz[], %s::bigint[])
            ON CONFLICT (group_id, tier, at) DO UPDATE SET count = c.count + excluded.count
            """,
            [
                [number for (number, _, _), _ in rows],
                [tier for (_, tier, _), _ in rows],
                [at for (_, _, at), _ in rows],
                [count for _, count in rows],
            ],
        )


def resolve_group(
    number: int, *, by: str, reason: str, under: str, release: str | None, definition: Definition | None
) -> bool:
    """Somebody says that it is fixed. False if there is none that is not resolved."""
    return _decide(
        number,
        [GroupState.OPEN, GroupState.IGNORED],
        state=GroupState.RESOLVED,
        by=by,
        reason=reason,
        resolved_at=Now(),
        resolved_under=under,
        resolved_release=release,
        resolved_workflow=definition.workflow if definition is not None else None,
        resolved_version=definition.version if definition is not None else None,
    )


def ignore_group(number: int, *, by: str, reason: str) -> bool:
    """Nobody is to hear of it. False if there is none that is not ignored."""
    return _decide(number, [GroupState.OPEN, GroupState.RESOLVED], state=GroupState.IGNORED, by=by, reason=reason)


def reopen_group(number: int, *, by: str, reason: str) -> bool:
    """It matters after all. False if there is none that is not open."""
    return _decide(number, [GroupState.RESOLVED, GroupState.IGNORED], state=GroupState.OPEN, by=by, reason=reason)


def _decide(
    number: int, from_: Collection[GroupState], *, state: GroupState, by: str, reason: str, **more: object
) -> bool:
    return bool(
        ErrorGroup.objects.filter(id=number, state__in=[str(one) for one in from_]).update(
            state=str(state), regression=False, changed_at=Now(), changed_by=by[:200], reason=reason, **more
        )
    )


def forget_errors(*, most: int) -> int:
    """Forget old counts, and groups that were not seen for long. Deletes at most so many rows of each. Returns how
    many."""
    count = 0
    with connection.cursor() as cursor:
        for tier, seconds in ((MINUTE, MINUTES_FOR), (HOUR, HOURS_FOR)):
            cursor.execute(
                """
                DELETE FROM monitoring_errorcount WHERE (group_id, tier, at) IN (
                    SELECT group_id, tier, at FROM monitoring_errorcount
                    WHERE tier = %s AND at < clock_timestamp() - make_interval(secs => %s)
                    ORDER BY at LIMIT %s FOR UPDATE SKIP LOCKED)
                """,
                [tier, seconds, most],
            )
            count += cursor.rowcount
    return count + _forget_groups()


def _forget_groups() -> int:
    """Forget groups that were not seen for long, a hundred at most."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM monitoring_errorgroup WHERE last_seen < clock_timestamp() - make_interval(secs => %s)"
            " LIMIT 100 FOR UPDATE SKIP LOCKED",
            [HOURS_FOR],
        )
        old = [number for (number,) in cursor.fetchall()]
        if old:
            cursor.execute("DELETE FROM monitoring_errorcount WHERE group_id = ANY(%s)", [old])
            cursor.execute("DELETE FROM monitoring_errorkey WHERE group_id = ANY(%s)", [old])
            cursor.execute("DELETE FROM monitoring_errorgroup WHERE id = ANY(%s)", [old])
    return len(old)


def _resolution(row: ErrorGroup) -> Resolution | None:
    if row.state != GroupState.RESOLVED or row.resolved_at is None:
        return None
    definition = None
    if row.resolved_workflow is not None and row.resolved_version is not None:
        definition = Definition(row.resolved_workflow, row.resolved_version)
    return Resolution(row.resolved_at, row.resolved_under, row.resolved_release, definition)


def _storable(text: str) -> str:
    """What PostgreSQL takes."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _count(counts: dict[Source, int], source: Source, more: int) -> None:
    counts[source] = counts.get(source, 0) + more
