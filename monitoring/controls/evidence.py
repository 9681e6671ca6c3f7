"""The evidence pack: what an auditor of a framework asks for over a period, in one signed file to be read offline.

Note [Evidence pack]
A zip. `MANIFEST.json` names every other file with its size and SHA-256, `MANIFEST.sig` is an Ed25519 signature over it,
by the key that signs the audit log's checkpoints. `erip_verify.py --pack` checks all of it without the platform. The
part of the audit log that is in it begins at the last checkpoint before the period and ends at the last one in it: the
chain between the two signed statements shows that no entry is missing, without the rest of the log.

Files are in the order of their names, with one and the same date, and hold no time of their making: the same period of
the same data gives the same bytes. `access.json` is as it is when the pack is made, because nobody keeps how it was.
"""

import hashlib
import html
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from erip.audit import checkpoints
from monitoring.controls.catalog import Framework, frameworks, mechanisms
from monitoring.controls.oscal import component_definition
from monitoring.controls.periods import Period
from monitoring.controls.results import Status
from monitoring.controls.standing import Stands, checks_of, standing_of
from monitoring.store import controls as results
from monitoring.store import evidence as store
from monitoring.store.controls import Noted

#: what is signed begins with this, so that the signature is good for nothing else
PURPOSE = b"erip evidence pack\n"
FORMAT = "erip-evidence/1"
#: hours after which a result says nothing about the end of the period: a day, and some
FRESH = timedelta(hours=30)
_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Made:
    """What is in a pack that was written."""

    files: int
    entries: int
    sha256: str
    complete: bool


def write(out: Path, framework: str, period: Period, *, now: datetime) -> Made:
    """Write the pack. now: aware; a period that has not ended is packed as far as it is, and says so. Raises KeyError
    for an unknown framework, OSError, django.db.Error."""
    chosen = frameworks()[framework]
    complete = period.until <= now
    listed: dict[str, dict[str, Any]] = {}
    partial = out.with_name(out.name + ".part")
    with store.one_moment(), zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as pack:
        trail = store.trail_of(period)
        for name, parts in sorted(_files(chosen, period, trail, complete).items()):
            listed[name] = _add(pack, name, parts)
        manifest = _json(
            {
                "format": FORMAT,
                "framework": framework,
                "period": {"name": period.name, "since": _text(period.since), "until": _text(period.until)},
                "complete": complete,
                "key": checkpoints.key_id(),
                "files": listed,
            }
        )
        _add(pack, "MANIFEST.json", [manifest])
        _add(pack, "MANIFEST.sig", [checkpoints.signature_over(PURPOSE + manifest).encode() + b"\n"])
    partial.replace(out)
    digest = hashlib.sha256()
    with out.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return Made(len(listed), trail.size, digest.hexdigest(), complete)


def _add(pack: zipfile.ZipFile, name: str, parts: Iterable[bytes]) -> dict[str, Any]:
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    digest, size = hashlib.sha256(), 0
    with pack.open(info, "w", force_zip64=True) as file:
        for part in parts:
            file.write(part)
            digest.update(part)
            size += len(part)
    return {"sha256": digest.hexdigest(), "size": size}


def _files(framework: Framework, period: Period, trail: store.Trail, complete: bool) -> dict[str, Iterable[bytes]]:
    wanted = set(checks_of(framework.controls))
    history = [one for one in results.results_between(period.since, period.until) if one.check in wanted]
    stands = [standing_of(control, _at_end(history, period, complete)) for control in framework.controls]
    document = {
        "framework": framework.name,
        "title": framework.title,
        "source": framework.source,
        "note": framework.note,
        "controls": [_control(one) for one in stands],
        "mechanisms": {name: _mechanism(name) for name in sorted({name for one in stands for name in one.control.by})},
        "checks": {name: _history(name, history, period) for name in sorted(wanted)},
    }
    return {
        "README.txt": [_readme(framework, period, complete).encode()],
        "index.html": [_page(framework, period, stands).encode()],
        "controls.json": [_json(document)],
        "component-definition.json": [_json(component_definition([framework.name]))],
        "checks.jsonl": (_line(_result(one)) for one in history),
        "audit.jsonl": (f"{line}\n".encode() for line in store.trail_lines(trail)),
        "alerts.jsonl": map(_line, store.alerts_between(period.since, period.until)),
        "versions.jsonl": map(_line, store.versions_between(period.since, period.until)),
        "runs.json": [_json(store.runs_between(period.since, period.until))],
        "access.json": [_json(store.access_now())],
    }


def _at_end(history: Iterable[Noted], period: Period, complete: bool) -> Mapping[str, Noted]:
    """What each check said last in the period; what it said long before the end is no longer known to hold."""
    found = {one.check: one for one in history}
    if not complete:
        return found
    return {
        name: one
        if one.at >= period.until - FRESH
        else Noted(name, Status.UNKNOWN, "It was not looked at when the period ended.", {}, one.at)
        for name, one in found.items()
    }


def _history(name: str, history: Iterable[Noted], period: Period) -> dict[str, Any]:
    """When a check failed, and on how many days of the period it was looked at. A day without a result is unknown."""
    mine = [one for one in history if one.check == name]
    spans: list[list[str | None]] = []
    failing = False
    for one in mine:
        at = max(one.at, period.since)
        if one.status is Status.FAILS and not failing:
            spans.append([_text(at), None])
        elif one.status is not Status.FAILS and failing:
            spans[-1][1] = _text(at)
        failing = one.status is Status.FAILS
    days = {one.at.astimezone(UTC).date() for one in mine if one.at >= period.since}
    return {"results": len(mine), "days_seen": len(days), "failed": spans}


def _control(one: Stands) -> dict[str, Any]:
    control = one.control
    return {
        "id": control.id,
        "about": control.about,
        "standing": str(one.standing),
        "by": list(control.by),
        "gap": control.gap,
        "checks": [_result(said) for said in one.checks],
        "evidence": sorted({name for each in control.by for name in mechanisms()[each].evidence}),
    }


def _mechanism(name: str) -> dict[str, Any]:
    found = mechanisms()[name]
    return {"does": found.does, "documentation": found.page, "checks": list(found.checks)}


def _result(one: Noted) -> dict[str, Any]:
    return {
        "check": one.check,
        "at": _text(one.at),
        "status": str(one.status),
        "sentence": one.sentence,
        "facts": dict(one.facts),
    }


def _readme(framework: Framework, period: Period, complete: bool) -> str:
    ended = "" if complete else "\nThe period had not ended when this was made: it shows what there was until then.\n"
    return f"""Evidence of an ERIP installation
{framework.title}
{_text(period.since)} to {_text(period.until)} (not included)
{ended}
Check first that nothing was changed, with the program and the public key that you were given when the platform was set
up (not with ones that came with this file):

    python erip_verify.py --pack THIS.zip --key KEY

Then open index.html. The files:

    controls.json              each control: what serves it, what its checks said last, what is not covered
    component-definition.json  the same as an OSCAL component definition, without how it stands
    checks.jsonl               what the checks said over the period: each change, and once a day
    audit.jsonl                the audit log of the period, between two signed checkpoints
    alerts.jsonl               alerts that fired
    versions.jsonl             definitions, triggers, schedules and decision tables that were published
    runs.json                  how many runs there were of each workflow, and what became of them
    access.json                who had access at the moment when this was made

"holds" means that a check looked and found it so. "described" means that there is a mechanism and no check. Whether a
control is met is for you to say.
"""


def _page(framework: Framework, period: Period, stands: Iterable[Stands]) -> str:
    return "".join(_parts(framework, period, stands))


def _parts(framework: Framework, period: Period, stands: Iterable[Stands]) -> Iterator[str]:
    title = html.escape(f"{framework.title}, {period.name}")
    yield (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>'
        "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1c1c1c}"
        "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.5rem;"
        "border-bottom:1px solid #ccc}.fails{color:#a00000;font-weight:700}.holds{color:#0a5c2b}"
        ".gap{color:#555}ul{margin:0;padding-left:1.2rem}</style></head><body>"
        f"<h1>{title}</h1><p>{html.escape(framework.note)}</p>"
        "<table><thead><tr><th>Control</th><th>About</th><th>Stands</th><th>What serves it, and what was seen</th>"
        "</tr></thead><tbody>"
    )
    for one in stands:
        control = one.control
        seen = "".join(
            f"<li>{html.escape(said.check)}: {said.status}. {html.escape(said.sentence)} ({_text(said.at)})</li>"
            for said in one.checks
        )
        yield (
            f"<tr><th>{html.escape(control.id)}</th><td>{html.escape(control.about)}</td>"
            f'<td class="{one.standing}">{str(one.standing).replace("_", " ")}</td>'
            f"<td>{html.escape(', '.join(control.by))}<ul>{seen}</ul>"
            f'<span class="gap">{html.escape(control.gap)}</span></td></tr>'
        )
    yield "</tbody></table></body></html>\n"


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _json(value: Any) -> bytes:
    return (
        orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z) + b"\n"
    )


def _line(value: Any) -> bytes:
    return orjson.dumps(value, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z) + b"\n"
