"""manage.py load_kev FILE: load CISA's Known Exploited Vulnerabilities catalogue, and report its entries."""

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from workflows.errors import WorkflowsError
from workflows.events.kev import tell_of
from workflows.library import cache
from workflows.library.nexus.data import OlderCatalogue, load_catalogue
from workflows.library.nexus.kev import MAX_BYTES, Catalogue, CatalogueInvalid, parse_catalogue

SHOWN = 50


class Command(BaseCommand):
    help = (
        "Load CISA's Known Exploited Vulnerabilities catalogue (JSON) from a file, or from standard input with -. "
        "Loading the same file again changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="path of known_exploited_vulnerabilities.json, or -")
        parser.add_argument("--json", action="store_true", help="answer in JSON")
        parser.add_argument(
            "--as-events",
            action="store_true",
            help="hand each entry to the event bus as an atlas.vulnerability.discovered event; "
            "one that was notified before takes no effect again",
        )
        parser.add_argument("--allow-older", action="store_true", help="accept an older release than the one loaded")

    def handle(self, *args: Any, **options: Any) -> None:
        content = _read(options["file"])
        try:
            catalogue = parse_catalogue(content)
            loaded = load_catalogue(catalogue, content, allow_older=options["allow_older"])
        except CatalogueInvalid as error:
            if options["json"]:
                self.stdout.write(json.dumps({"loaded": False, "faults": error.faults}))
            more = len(error.faults) - SHOWN
            shown = [*error.faults[:SHOWN], *([f"… and {more} more"] if more > 0 else [])]
            raise CommandError("nothing was loaded:\n" + "\n".join(f"  {fault}" for fault in shown)) from error
        except OlderCatalogue as error:
            raise CommandError(str(error)) from error
        cache.forget()
        told = _tell(catalogue) if options["as_events"] else None
        if options["json"]:
            events = {} if told is None else {"events": told}
            self.stdout.write(json.dumps({"loaded": True, **asdict(loaded), **events}))
            return
        self.stdout.write(
            f"Catalogue {loaded.version}: {loaded.entries} entries, {loaded.added} added, {loaded.updated} updated, "
            f"{loaded.unchanged} unchanged, {loaded.withdrawn} withdrawn."
        )
        if told is not None:
            self.stdout.write(f"{told} events were accepted; what they start is seen with the runs.")


def _tell(catalogue: Catalogue) -> int:
    """Hand the entries to the bus, and return how many were accepted. Raises CommandError."""
    try:
        return tell_of(catalogue)
    except WorkflowsError as error:
        raise CommandError(f"the catalogue is loaded, but not all of it was reported: {error}") from error


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    try:
        with Path(name).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}") from error
