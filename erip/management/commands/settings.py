"""manage.py settings reference|schema|show|check|diff: what can be set, what is set, and whether that is right."""

import json
import os
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from erip.management import configuration, settings_pages
from erip.management.configuration import BadSettings, Given, Looked, text_of
from erip.settings.declared import DECLARED

_HELP = """What can be set, what is set, and whether that is right. Never shows a secret.

reference       the page docs/reference/settings.md
schema          a JSON Schema of settings
show [SOURCE]   the values in force, and where each comes from
check [SOURCE…] names every fault with its place; later sources win over earlier ones. Exit status 1: there are some
diff A B        the settings that differ. Exit status 1: some do

A source is a file of KEY=value lines; a JSON or YAML file with names and values, or with ConfigMaps and Secrets;
`pid:N`, the environment of a process; or `here`, this environment, which is also the default. Exit status 2: a source
cannot be read."""


class Command(BaseCommand):
    help = _HELP
    # It must work where they fail.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.add_argument("what", choices=["reference", "schema", "show", "check", "diff"])
        parser.add_argument("sources", nargs="*", metavar="SOURCE")
        parser.add_argument(
            "--settings-of",
            default="",
            metavar="MODULE",
            help="local, production, test, or a module: by default what DJANGO_SETTINGS_MODULE says for `here`, and"
            " production for any other source",
        )
        parser.add_argument("--json", action="store_true", help="show, check, diff: as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        pages: dict[str, Callable[[], str]] = {
            "reference": settings_pages.reference,
            "schema": settings_pages.schema,
        }
        if page := pages.get(options["what"]):
            self.stdout.write(page(), ending="")
            return
        sources = options["sources"] or (["here"] if options["what"] != "diff" else [])
        if (options["what"], len(sources)) not in (("show", 1), ("diff", 2)) and options["what"] != "check":
            raise CommandError(
                f"{options['what']}: name {'two sources' if options['what'] == 'diff' else 'one source'}."
            )
        try:
            given = [configuration.read(one) for one in sources]
            if options["what"] == "check":
                self._check(_together(given), options)
                return
            looked = [configuration.look(one, _module(one, options["settings_of"])) for one in given]
        except BadSettings as error:
            raise CommandError(f"{error}.", returncode=2) from error
        if options["what"] == "show":
            self._show(looked[0], options["json"])
        else:
            self._diff(given, looked, options["json"])

    def _show(self, looked: Looked, as_json: bool) -> None:
        values = {
            name: "(set)" if one.secret and looked.places[name] != "default" else looked.values[name]
            for name, one in DECLARED.items()
        }
        if as_json:
            shown = {
                name: {"value": text_of(value) if isinstance(value, str) else value, "from": looked.places[name]}
                for name, value in values.items()
            }
            self.stdout.write(json.dumps(shown))
            return
        for name, value in values.items():
            place = looked.places[name]
            self.stdout.write(f"{name}={text_of(value)}" + ("" if place == "default" else f"  # {place}"))

    def _check(self, given: Given, options: dict[str, Any]) -> None:
        looked = configuration.look(given, _module(given, options["settings_of"]))
        wrong = [one for one in looked.faults if not one.unknown]
        if options["json"]:
            faults = [
                {"name": one.name, "place": one.place, "what": one.what, "unknown": one.unknown}
                for one in looked.faults
            ]
            self.stdout.write(json.dumps({"faults": faults}))
        else:
            for one in looked.faults:
                self.stdout.write(f"not known here: {one}" if one.unknown else str(one))
            if not wrong:
                self.stdout.write(f"{given.name}: no fault found.")
        if wrong:
            raise CommandError(f"{len(wrong)} {'fault' if len(wrong) == 1 else 'faults'}.", returncode=1)

    def _diff(self, given: list[Given], looked: list[Looked], as_json: bool) -> None:
        found = configuration.difference(given[0], given[1], looked[0], looked[1])
        if as_json:
            self.stdout.write(json.dumps([{"name": name, "first": one, "second": two} for name, one, two in found]))
        else:
            for name, one, two in found:
                self.stdout.write(f"{name}\n  - {one}\n  + {two}")
        if found:
            raise CommandError(f"{len(found)} {'differs' if len(found) == 1 else 'differ'}.", returncode=1)


def _together(given: list[Given]) -> Given:
    if len(given) == 1:
        return given[0]
    values: dict[str, str] = {}
    places: dict[str, str] = {}
    for one in given:
        values.update(one.values)
        places.update({name: one.place(name) for name in one.values})
    faults = tuple(fault for one in given for fault in one.faults)
    return Given(", ".join(one.name for one in given), values, faults=faults, places=places)


def _module(given: Given, asked: str) -> str:
    if asked:
        return asked if "." in asked else f"erip.settings.{asked}"
    if given.name == configuration.HERE:
        return os.environ["DJANGO_SETTINGS_MODULE"]
    return given.values.get("DJANGO_SETTINGS_MODULE") or "erip.settings.production"
