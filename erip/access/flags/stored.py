"""Changing what operators say of flags: all doors come through here."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from erip.audit.operation import describe
from erip.foundation.db.retry import retry_transaction
from erip.foundation.db.turns import take_turn
from erip.foundation.errors import EripError
from erip.foundation.faults import Fault
from erip.foundation.hooks import Feature

from ..models import ApiKey, Flag, Space
from ..sign_in.providers.configured import configured
from .asking import features, forget

NAME: Final = r"[a-z][a-z0-9_.-]{0,62}"
#: entries of one list
MOST: Final = 200
LONGEST, LONGEST_NOTE = 200, 1000


class UnknownFlag(EripError):
    """This release has no such flag. `GET /api/v1/flags` lists those there are."""

    code = "unknown_flag"
    status = 404


class FlagInvalid(EripError):
    """The flag cannot be set so. Fix what `faults` names."""

    code = "flag_invalid"
    status = 422


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a flag is to be from now on; nothing of what was said before stays."""

    everyone: bool | None = None
    percent: Decimal | None = None
    on_for: Sequence[str] = ()
    off_for: Sequence[str] = ()
    note: str = ""


def faults_of(flag: Feature, wanted: Wanted) -> list[Fault]:
    """All that is wrong."""
    found: list[Fault] = []
    if wanted.percent is not None:
        if not flag.share_of:
            found.append(Fault("percent", "does not go with this flag, which is asked about nobody in particular"))
        if not wanted.percent.is_finite() or not 0 <= wanted.percent <= 100 or wanted.percent * 10 % 1:
            found.append(Fault("percent", "is 0 to 100, with at most one digit behind the point"))
    if len(wanted.note) > LONGEST_NOTE or not wanted.note.replace("\n", "").isprintable():
        found.append(Fault("note", f"has at most {LONGEST_NOTE} characters, all of which can be printed"))
    for path, named in (("on_for", wanted.on_for), ("off_for", wanted.off_for)):
        if len(named) > MOST:
            found.append(Fault(path, f"names at most {MOST}"))
            continue
        found += [Fault(f"{path}[{at}]", wrong) for at, wrong in _wrong(flag, named)]
    for one in sorted(set(wanted.on_for) & set(wanted.off_for)):
        found.append(Fault(f"off_for[{wanted.off_for.index(one)}]", "is in on_for, too"))
    if wanted.everyone is None and wanted.percent is None and not wanted.on_for and not wanted.off_for:
        found.append(Fault("", "says nothing: set one of everyone, percent, on_for and off_for, or delete it"))
    return found


def _wrong(flag: Feature, named: Sequence[str]) -> Iterator[tuple[int, str]]:
    """(index, what is wrong) of entries. Somebody who is not there is a typing error: nothing would be switched."""
    by_kind: dict[str, dict[str, int]] = {}
    for at, one in enumerate(named):
        kind, _, who = one.partition(":")
        if not flag.about:
            yield at, "cannot be: this flag is asked about nobody in particular"
        elif kind not in flag.about:
            yield at, f"begins with one of {', '.join(f'{each}:' for each in flag.about)}"
        elif not who or len(one) > LONGEST or not one.isprintable():
            yield at, f"is {kind}:NAME, of at most {LONGEST} characters that can be printed"
        elif who in by_kind.setdefault(kind, {}):
            yield at, "is named twice"
        else:
            by_kind[kind][who] = at
    for kind, wanted in by_kind.items():
        there = _there(kind, wanted)
        yield from ((at, f"there is no such {kind}") for who, at in wanted.items() if who not in there)


def _there(kind: str, names: Collection[str]) -> set[str]:
    """Those of these that there are; of a kind that this package does not know, all."""
    rows: QuerySet[Any]
    if kind == "space":
        rows, column = Space.objects.all(), "name"
    elif kind == "key":
        rows, column = ApiKey.objects.all(), "name"
    elif kind == "user":
        rows, column = get_user_model()._default_manager.all(), "username"
    elif kind == "provider":
        return configured().keys() & set(names)
    else:
        return set(names)
    return set(rows.filter(**{f"{column}__in": list(names)}).values_list(column, flat=True))


@retry_transaction
def put(name: str, wanted: Wanted, *, by: str) -> Flag:
    """Say what a flag is from now on, in every process within a second. Raises UnknownFlag, FlagInvalid."""
    flag = features().get(name)
    if flag is None or not re.fullmatch(NAME, name):
        raise UnknownFlag
    if faults := faults_of(flag, wanted):
        raise FlagInvalid(faults=faults)
    with transaction.atomic():
        take_turn("access_flag", name)
        before = Flag.objects.select_for_update().filter(name=name).first()
        row = before or Flag(name=name)
        told = shown(row) if before else None
        row.everyone, row.percent, row.note = wanted.everyone, wanted.percent, wanted.note
        row.on_for, row.off_for = sorted(wanted.on_for), sorted(wanted.off_for)
        row.changed_by, row.changed_at = by, Now()
        row.save()
        describe(object=f"flag:{name}", before=told, after=shown(row))
        row.refresh_from_db()
        transaction.on_commit(forget)
    return row


@retry_transaction
def reset(name: str) -> None:
    """The flag is as the release has it again. Raises UnknownFlag if nothing was said of it."""
    with transaction.atomic():
        row = Flag.objects.select_for_update().filter(name=name).first()
        if row is None:
            if name not in features():
                raise UnknownFlag
            return
        told = shown(row)
        row.delete()
        describe(object=f"flag:{name}", before=told, after=None)
        transaction.on_commit(forget)


def shown(row: Flag) -> dict[str, object]:
    """What an operator says of it, as the audit log and the API have it."""
    return {
        "everyone": row.everyone,
        "percent": None if row.percent is None else float(row.percent),
        "on_for": list(row.on_for),
        "off_for": list(row.off_for),
        "note": row.note,
    }


def said() -> dict[str, Flag]:
    """What operators say, by name; also of flags that this release does not know."""
    return {row.name: row for row in Flag.objects.order_by("name")}
