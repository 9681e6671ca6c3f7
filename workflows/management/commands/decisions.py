"""`manage.py decisions`: decision tables in files: YAML, JSON, DMN, CSV, XLSX. Only `publish` asks the database."""

import json
import re
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from erip.foundation.faults import Fault
from workflows.core.durations import NotADuration, parse_duration
from workflows.core.source import Media, SourceInvalid
from workflows.core.source import read as read_source
from workflows.core.tables import values
from workflows.core.tables.dmn import MAX_BYTES, read_dmn, write_dmn
from workflows.core.tables.document import TableInvalid, read
from workflows.core.tables.plain import plain
from workflows.core.tables.sheet import read_csv, write_csv
from workflows.core.tables.table import FactsInvalid, Table
from workflows.core.tables.workbook import read_sheets
from workflows.decisions import stored
from workflows.decisions.errors import TableNotValid, UnknownTable
from workflows.decisions.files import as_yaml
from workflows.decisions.reporting import report, said
from workflows.management.validation.formats import printable
from workflows.replay.pages import Against
from workflows.replay.what_if import Difference, pages


class Command(BaseCommand):
    help = (
        "Decision tables in files: YAML, JSON if the name ends in .json, DMN 1.2 to 1.5 if it ends in .dmn or .xml, "
        "CSV if it ends in .csv, XLSX if it ends in .xlsx. "
        "`check FILE …`: every fault, the cases that no rule decides, rules that clash or are never reached; exit code "
        "0 nothing is wrong, 1 something is, 2 a file cannot be read. `decide FILE --facts JSON`: what the table says, "
        "and by which rules. `convert FILE --to dmn|yaml|csv`. `publish FILE …`: each table as the next version of its "
        "name, all of them or, if one has a fault, none. `what-if FILE --name NAME`: the runs that this table would "
        "have decided otherwise than the stored one of that name; writes nothing; exit code 1 if there are any."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["check", "decide", "convert", "publish", "what-if"])
        parser.add_argument("files", nargs="+", metavar="FILE")
        parser.add_argument(
            "--name", help="the decision or the sheet, if a file has several; for `publish` of one table: its name"
        )
        parser.add_argument("--author", default="manage.py", help="for `publish`: who publishes")
        parser.add_argument("--facts", help="a JSON object, or - for the standard input")
        parser.add_argument("--to", choices=["dmn", "yaml", "csv"], default="dmn")
        parser.add_argument("--against", choices=list(Against), default="past", help="for `what-if`: which runs")
        parser.add_argument("--since", default="30d", help="for `what-if`: how long ago the oldest run was created")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *, action: str, files: list[str], **options: Any) -> None:
        if action == "check":
            self._check(files, as_json=options["json"])
            return
        if action == "publish":
            self._publish(files, options["name"], options["author"])
            return
        if len(files) > 1:
            raise CommandError(f"{action} takes one file", returncode=2)
        if action == "what-if":
            self._what_if(files[0], options)
            return
        name, document = self._one(files[0], options["name"])
        if action == "convert":
            self._convert(name, document, options["to"])
        else:
            self._decide(document, options["facts"], as_json=options["json"])

    def _check(self, files: list[str], *, as_json: bool) -> None:
        rows: list[dict[str, Any]] = []
        unreadable = False
        for file in dict.fromkeys(files):
            try:
                documents, faults = documents_of(file)
            except OSError as error:
                documents, faults, unreadable = {}, [Fault("", error.strerror or str(error))], True
            rows.extend(_row(file, "", faults=[fault]) for fault in faults)
            for name, document in documents.items():
                try:
                    table = read(document)
                except TableInvalid as error:
                    rows.append(_row(file, name, faults=error.faults))
                else:
                    rows.append(_row(file, name, table=table))
        if as_json:
            self.stdout.write(json.dumps(rows, default=values.written))
        else:
            for row in rows:
                self._tell(row)
        if unreadable:
            raise SystemExit(2)
        if any(row["wrong"] for row in rows):
            raise SystemExit(1)

    def _tell(self, row: dict[str, Any]) -> None:
        place = f"{row['file']}: {row['name']}" if row["name"] else row["file"]
        for fault in row["faults"]:
            self.stdout.write(f"{place}: {fault}")
        for gap in row["gaps"]:
            self.stdout.write(f"{place}: no rule decides {said(gap['tests'])}, for example {said(gap['example'])}")
        for clash in row["clashes"]:
            self.stdout.write(
                f"{place}: rules {clash['first']} and {clash['second']} both match {said(clash['tests'])}"
            )
        for rule in row["unreached"]:
            self.stdout.write(f"{place}: rule {rule} never decides: nothing fulfils it, or rules before it do")
        for rule in row["unsure"]:
            self.stdout.write(f"{place}: rule {rule} refers to other facts, so its cases are not known beforehand")
        if not row["is_complete"]:
            self.stdout.write(f"{place}: there may be more: not every case was looked at")
        if not row["wrong"]:
            self.stdout.write(f"{place}: nothing is wrong; {row['rules']} rules")

    def _decide(self, document: dict[str, Any], facts: str | None, *, as_json: bool) -> None:
        if facts is None:
            raise CommandError('Give the facts: --facts \'{"severity": "high"}\'', returncode=2)
        try:
            given = json.loads(sys.stdin.read() if facts == "-" else facts)
        except ValueError as error:
            raise CommandError(f"The facts are no JSON: {error}", returncode=2) from None
        if not isinstance(given, dict):
            raise CommandError("The facts must be a JSON object", returncode=2)
        try:
            table = read(document)
            decision = table.decide(given)
        except (TableInvalid, FactsInvalid) as error:
            raise CommandError("\n".join(map(str, error.faults))) from None
        rules = [table.rules[place].id for place in decision.rules]
        if as_json:
            told = {"output": plain(decision.output), "rules": rules, "fault": decision.fault}
            self.stdout.write(json.dumps(told, default=values.written))
        else:
            by = f"rules {', '.join(rules)}" if rules else "the default" if decision.output is not None else "no rule"
            self.stdout.write(f"{decision.fault or json.dumps(plain(decision.output))} ({by})")
        if not decision.is_decided:
            raise SystemExit(1)

    def _convert(self, name: str, document: dict[str, Any], to: str) -> None:
        try:
            read(document)
            if to == "csv":
                # As it is: its lines end as CSV's do.
                self.stdout.write(write_csv(document).decode(), ending="")
                return
            written = write_dmn(name, document).decode() if to == "dmn" else as_yaml(document)
        except TableInvalid as error:
            raise CommandError("\n".join(map(str, error.faults))) from None
        self.stdout.write(written)

    def _publish(self, files: list[str], name: str | None, author: str) -> None:
        wanted: dict[str, dict[str, Any]] = {}
        faults: list[str] = []
        for file in dict.fromkeys(files):
            try:
                documents, unread = documents_of(file)
            except OSError as error:
                raise CommandError(f"{file}: {error.strerror}", returncode=2) from None
            faults.extend(f"{file}: {fault}" for fault in unread)
            for own, document in documents.items():
                if own in wanted:
                    faults.append(f"{file}: {own} is in another file, too")
                wanted[own] = document
        if name is not None:
            if len(wanted) > 1 and name not in wanted:
                raise CommandError(f"Name the decision: --name {', '.join(wanted)}", returncode=2)
            wanted = {name: wanted[name] if name in wanted else next(iter(wanted.values()), {})}
        for own, document in wanted.items():
            if not re.fullmatch(stored.NAME, own):
                faults.append(f"{own[:80]!r} cannot be a table's name ({stored.NAME}); give --name")
            try:
                stored.check(document)
            except TableNotValid as error:
                faults.extend(f"{own}: {fault}" for fault in error.faults)
        if faults:
            raise CommandError("\n".join(faults[:200]))
        with transaction.atomic():
            for own, document in wanted.items():
                done = stored.publish(own, document, author=author)
                what = "is published" if done.created else "says the same already; nothing changed"
                self.stdout.write(f"{own} version {done.number} {what}")

    def _what_if(self, file: str, options: dict[str, Any]) -> None:
        try:
            documents, faults = documents_of(file)
            begin = datetime.now(UTC) - timedelta(seconds=parse_duration(options["since"]))
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}", returncode=2) from None
        except (NotADuration, OverflowError) as error:
            raise CommandError(f"--since: {error}", returncode=2) from None
        name = options["name"] or next(iter(documents), "")
        document = documents.get(name) or next(iter(documents.values()), None)
        if document is None or (len(documents) > 1 and name not in documents):
            raise CommandError("\n".join(map(str, faults)) or f"Name the decision: --name {', '.join(documents)}")
        totals = {"compared": 0, "different": 0, "unknown": 0}
        try:
            table = stored.check(document)
            for page in pages(name, table, against=Against(options["against"]), since=begin):
                for key in totals:
                    totals[key] += getattr(page, key)
                for one in page.items:
                    self.stdout.write(json.dumps(asdict(one)) if options["json"] else printable(_difference(one)))
        except (TableNotValid, UnknownTable) as error:
            raise CommandError("\n".join(map(str, error.faults)) or error.message, returncode=2) from None
        if options["json"]:
            self.stdout.write(json.dumps(totals))
        else:
            self.stdout.write(
                f"{totals['compared']:,} decisions compared, {totals['different']:,} of them would be others; of "
                f"{totals['unknown']:,} the facts are not known yet"
            )
        if totals["different"]:
            raise SystemExit(1)

    def _one(self, file: str, name: str | None) -> tuple[str, dict[str, Any]]:
        try:
            documents, faults = documents_of(file)
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}", returncode=2) from None
        wanted = name or next(iter(documents), None)
        if faults and (wanted is None or name is None):
            raise CommandError("\n".join(f"{file}: {fault}" for fault in faults))
        if wanted not in documents or (name is None and len(documents) > 1):
            raise CommandError(f"Name the decision: --name {', '.join(documents)}", returncode=2)
        return str(wanted), documents[str(wanted)]


def documents_of(file: str) -> tuple[dict[str, dict[str, Any]], list[Fault]]:
    """The tables in a file by name, and what of it could not be read. Raises OSError."""
    with Path(file).open("rb") as stream:
        source = stream.read(MAX_BYTES + 1)
    suffix = Path(file).suffix.lower()
    try:
        if suffix in (".dmn", ".xml"):
            found = read_dmn(source)
            return found.documents, found.faults
        if suffix == ".csv":
            return {Path(file).stem: read_csv(source)}, []
        if suffix == ".xlsx":
            sheets, faults = read_sheets(source)
            alone = len(sheets) == 1 and not faults
            return ({Path(file).stem: next(iter(sheets.values()))} if alone else sheets), faults
        media: Media = "json" if suffix == ".json" else "yaml"
        named = {"kind": "a decision table", "keys": "inputs, outputs and rules"}
        return {Path(file).stem: read_source(source, media, **named)}, []
    except (TableInvalid, SourceInvalid) as error:
        return {}, list(error.faults)


def _difference(one: Difference) -> str:
    name = f"{one.workflow} {one.run_id} ({one.business_key or one.status}) {one.step}"
    if one.before is None or one.after is None:
        return f"{name}: the facts are not known yet"
    told = [said.fault or json.dumps(said.result) for said in (one.before, one.after)]
    return f"{name}: {told[0]} -> {told[1]} (rules {', '.join(one.after.rules) or 'none'})"


def _row(file: str, name: str, *, faults: list[Fault] | None = None, table: Table | None = None) -> dict[str, Any]:
    nothing: dict[str, Any] = {
        "gaps": [],
        "clashes": [],
        "unreached": [],
        "unsure": [],
        "complete": True,
        "sound": True,
    }
    found = report(table) if table is not None else nothing
    return {
        "file": file,
        "name": name,
        "rules": len(table.rules) if table is not None else 0,
        "faults": [str(fault) for fault in faults or ()],
        **{key: found[key] for key in ("gaps", "clashes", "unreached", "unsure")},
        "is_complete": found["complete"],
        "wrong": bool(faults) or not found["sound"],
    }
