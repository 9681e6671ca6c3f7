"""The obligations: rows without versions, so what the loader wrote is remembered by its hash."""

import hashlib
import json
from typing import Any, Final

from django.db import transaction

from erip.foundation.shipped import Article, Source, Standing
from workflows.library import cache
from workflows.library.models import LoadedReference, Obligation
from workflows.library.shipping import files

NAME: Final = "obligations"
FIELDS: Final = [field for field in Obligation._meta.concrete_fields if field.attname != "id"]
UNCHANGED: Final = (Standing.SAME, Standing.OLDER)


def articles() -> list[Article]:
    return _articles(LoadedReference.objects.filter(name=NAME).first() or LoadedReference(name=NAME))


def bring_up_to_date() -> int:
    """Load the rows that are new, and the release's content into those that nobody changed. Returns how many. The
    caller's transaction."""
    # The lock makes two bootstraps at once load one after the other.
    LoadedReference.objects.bulk_create([LoadedReference(name=NAME)], ignore_conflicts=True)
    loaded = LoadedReference.objects.select_for_update().get(name=NAME)
    list(Obligation.objects.select_for_update().order_by("code"))
    standings = {one.name: one.standing for one in _articles(loaded)}
    rows = {row["code"]: Obligation(**row) for row in files.fixture("obligations")}
    Obligation.objects.bulk_create([rows[code] for code, how in standings.items() if how is Standing.NEW])
    older = [code for code, how in standings.items() if how is Standing.OLDER]
    for code in older:
        _write(rows[code])
    known = {code: _hash(row) for code, row in rows.items() if standings[code] in (Standing.NEW, *UNCHANGED)}
    loaded.contents |= known
    loaded.keys = [*loaded.keys, *(code for code in rows if code not in loaded.keys)]
    loaded.save()
    return len(older) + sum(how is Standing.NEW for how in standings.values())


@transaction.atomic
def take(name: str) -> str:
    LoadedReference.objects.bulk_create([LoadedReference(name=NAME)], ignore_conflicts=True)
    loaded = LoadedReference.objects.select_for_update().get(name=NAME)
    row = next(Obligation(**row) for row in files.fixture("obligations") if row["code"] == name)
    _write(row)
    loaded.contents |= {name: _hash(row)}
    loaded.keys = sorted({*loaded.keys, name})
    loaded.save()
    transaction.on_commit(cache.forget)
    return "the obligation is as shipped; reports made from now on use it"


def _articles(loaded: LoadedReference) -> list[Article]:
    here = Obligation.objects.in_bulk(field_name="code")
    return [_article(Obligation(**row), here.get(row["code"]), loaded) for row in files.fixture("obligations")]


def _article(shipped: Obligation, here: Obligation | None, loaded: LoadedReference) -> Article:
    name, text = shipped.code, files.as_text(_content(shipped))
    if here is None:
        standing = Standing.REMOVED if name in loaded.keys else Standing.NEW
        return Article("obligation", name, standing, text, None, "deleted here" if name in loaded.keys else "")
    known, now = loaded.contents.get(name), _hash(here)
    if now == _hash(shipped):
        standing, by = Standing.SAME, ""
    elif now == known:
        standing, by = Standing.OLDER, ""
    else:
        standing, by = Standing.YOURS, "changed here" if known else "changed here, or loaded by an early release"
    return Article("obligation", name, standing, text, files.as_text(_content(here)), by)


def _write(row: Obligation) -> None:
    Obligation.objects.update_or_create(
        code=row.code, defaults={field.attname: getattr(row, field.attname) for field in FIELDS}
    )


def _content(row: Obligation) -> dict[str, Any]:
    """The fields that say something. A column that a later release adds says nothing in the rows that are there, and so
    changes no hash."""
    values = ((field, getattr(row, field.attname)) for field in FIELDS)
    return {field.attname: value for field, value in values if value != field.get_default()}


def _hash(row: Obligation) -> str:
    text = json.dumps(_content(row), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


SOURCE: Final = Source("obligation", articles, take)
