"""`manage.py decisions`: decision tables in files, as YAML, JSON or DMN. Asks no database."""

import json
import sys
from pathlib import Path
from typing import Any

import yaml
from django.core.management.base import BaseCommand, CommandError, CommandParser

from erip.foundation.faults import Fault
from workflows.core.source import Media, SourceInvalid
from workflows.core.source import read as read_source
from workflows.core.tables import values
from workflows.core.tables.analysis import Case, Report, analyse
from workflows.core.tables.dmn import MAX_BYTES, read_dmn, write_dmn
from workflows.core.tables.document import TableInvalid, read
from workflows.core.tables.table import FactsInvalid, Policy, Table


class Command(BaseCommand):
    help = (
        "Decision tables in files: YAML, JSON if the name ends in .json, DMN 1.2 to 1.5 if it ends in .dmn or .xml. "
        "`check FILE …`: every fault, the cases that no rule decides, rules that clash or are never reached; exit code "
        "0 nothing is wrong, 1 something is, 2 a file cannot be read. `decide FILE --facts JSON`: what the table says, "
        "and by which rules. `convert FILE --to dmn|yaml`."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["check", "decide", "convert"])
        parser.add_argument("files", nargs="+", metavar="FILE")
        parser.add_argument("--name", help="the decision, if a DMN file has several")
        parser.add_argument("--facts", help="a JSON object, or - for the standard input")
        parser.add_argument("--to", choices=["dmn", "yaml"], default="dmn")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *, action: str, files: list[str], **options: Any) -> None:
        if action == "check":
            self._check(files, as_json=options["json"])
            return
        if len(files) > 1:
            raise CommandError(f"{action} takes one file", returncode=2)
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
            self.stdout.write(f"{place}: no rule decides {_said(gap['tests'])}, for example {_said(gap['example'])}")
        for clash in row["clashes"]:
            self.stdout.write(
                f"{place}: rules {clash['first']} and {clash['second']} both match {_said(clash['tests'])}"
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
            told = {"output": decision.output, "rules": rules, "fault": decision.fault}
            self.stdout.write(json.dumps(told, default=values.written))
        else:
            by = f"rules {', '.join(rules)}" if rules else "the default" if decision.output is not None else "no rule"
            self.stdout.write(f"{decision.fault or json.dumps(decision.output, default=values.written)} ({by})")
        if not decision.is_decided:
            raise SystemExit(1)

    def _convert(self, name: str, document: dict[str, Any], to: str) -> None:
        try:
            written = write_dmn(name, document).decode() if to == "dmn" else _as_yaml(document)
        except TableInvalid as error:
            raise CommandError("\n".join(map(str, error.faults))) from None
        self.stdout.write(written)

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
        media: Media = "json" if suffix == ".json" else "yaml"
        named = {"kind": "a decision table", "keys": "inputs, outputs and rules"}
        return {Path(file).stem: read_source(source, media, **named)}, []
    except (TableInvalid, SourceInvalid) as error:
        return {}, list(error.faults)


def _row(file: str, name: str, *, faults: list[Fault] | None = None, table: Table | None = None) -> dict[str, Any]:
    report = analyse(table) if table is not None else Report([], [], [], [], is_complete=True)
    gaps_matter = table is not None and not any(one.default is not None for one in table.outputs)
    gaps = report.gaps if gaps_matter and table is not None and table.policy not in _COLLECTING else []
    return {
        "file": file,
        "name": name,
        "rules": len(table.rules) if table is not None else 0,
        "faults": [str(fault) for fault in faults or ()],
        "gaps": [_case(gap) for gap in gaps],
        "clashes": [{"first": one.first, "second": one.second, **_case(one.case)} for one in report.clashes],
        "unreached": report.unreached,
        "unsure": report.unsure,
        "is_complete": report.is_complete,
        "wrong": bool(faults or gaps or report.clashes or report.unreached or not report.is_complete),
    }


#: an empty list, or a count of none, may be just what is meant
_COLLECTING = (Policy.COLLECT, Policy.RULE_ORDER, Policy.OUTPUT_ORDER)


def _case(case: Case) -> dict[str, Any]:
    return {"tests": case.tests, "example": {name: values.written(value) for name, value in case.example.items()}}


def _said(parts: dict[str, str]) -> str:
    return ", ".join(f"{name}: {text}" for name, text in parts.items() if text != "-") or "every case"


def _as_yaml(document: dict[str, Any]) -> str:
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120))
