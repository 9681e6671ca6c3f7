"""`manage.py bootstrap`: reference definitions and reference data. Can be run at every start."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from erip.foundation.hooks import load_seeds
from workflows import engine, library
from workflows.library.reference import load_reference_data


class Command(BaseCommand):
    help = "Publishes the reference definitions and loads the reference data that is missing. Changes nothing else."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--json", action="store_true", help="print what was done as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        loaded = {**load_reference_data(), **load_seeds()}
        published = [
            engine.publish(None, path.read_text(), "yaml", author="bootstrap")
            for path in sorted((Path(library.__file__).parent / "definitions").glob("*.yaml"))
        ]
        if options["json"]:
            definitions = [{"name": p.name, "version": p.number, "created": p.created} for p in published]
            self.stdout.write(json.dumps({"definitions": definitions, "data": loaded}))
            return
        for one in published:
            self.stdout.write(f"{one.name} v{one.number}{'' if one.created else ' (unchanged)'}")
        for name, count in loaded.items():
            self.stdout.write(f"{name}: {count} loaded")
