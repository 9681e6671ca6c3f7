"""`manage.py controls`: how the controls of a framework stand, and the controls as OSCAL."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from monitoring.controls import looking
from monitoring.controls.catalog import frameworks
from monitoring.controls.oscal import component_definition
from monitoring.controls.standing import Standing, all_of
from monitoring.store.controls import latest_results

_MARKS = {
    Standing.HOLDS: "●",
    Standing.FAILS: "✖",
    Standing.UNKNOWN: "?",
    Standing.ABSENT: "○",
    Standing.DESCRIBED: "·",
    Standing.NOT_COVERED: "-",
}


class Command(BaseCommand):
    help = (
        "Controls: `look` asks all checks now, and notes what they say; exit status 1 if one fails. `list` shows how "
        "the controls of a framework stand. `oscal` prints them as an OSCAL component definition."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="what", required=True)
        actions.add_parser("look", help="ask all checks now, and note what they say")
        listed = actions.add_parser("list", help="how the controls of a framework stand")
        listed.add_argument("framework", choices=sorted(frameworks()))
        oscal = actions.add_parser("oscal", help="print an OSCAL component definition")
        oscal.add_argument("framework", nargs="*", help="by default all")

    def handle(self, *args: Any, what: str, **options: Any) -> None:
        getattr(self, f"_{what}")(**options)

    def _look(self, **_: Any) -> None:
        looking.note()
        failing = 0
        for name, one in sorted(latest_results().items()):
            self.stdout.write(f"{_MARKS[Standing(str(one.status))]} {name}: {one.sentence}")
            failing += one.status == "fails"
        if failing:
            raise SystemExit(1)

    def _list(self, *, framework: str, **_: Any) -> None:
        for one in all_of(framework, latest_results()):
            told = "; ".join(f"{said.check} {said.status}" for said in one.checks) or one.control.gap
            standing = str(one.standing).replace("_", " ")
            self.stdout.write(f"{_MARKS[one.standing]} {one.control.id}: {one.control.about}: {standing}. {told}")

    def _oscal(self, *, framework: list[str], **_: Any) -> None:
        if unknown := sorted(set(framework) - frameworks().keys()):
            raise CommandError(f"there is no framework {unknown[0]!r}; known are: {', '.join(frameworks())}")
        self.stdout.write(json.dumps(component_definition(framework), indent=2, ensure_ascii=False))
