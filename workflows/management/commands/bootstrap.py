"""`manage.py bootstrap`: reference definitions and reference data. Can be run at every start."""

import json
from typing import Any

from django.core.management.base import BaseCommand

from erip.foundation.hooks import load_seeds, shipped
from workflows.library.reference import load_reference_data
from workflows.management import reference_definitions


class Command(BaseCommand):
    help = (
        "Publishes the reference definitions and loads the reference data. What somebody changed is left alone, and is "
        "named at the end: `manage.py shipped` shows the difference."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--json", action="store_true", help="print what was done as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        loaded = load_reference_data()
        published, not_yet = reference_definitions.bring_up_to_date()
        loaded = {**loaded, **load_seeds()}
        left = [one for source in shipped.all() for one in source.articles() if one.is_left_alone]
        if options["json"]:
            found = [{"name": p.name, "version": p.number, "created": p.created} for p in published]
            kept = [{"kind": one.kind, "name": one.name, "standing": one.standing, "by": one.by} for one in left]
            self.stdout.write(
                json.dumps({"definitions": found, "data": loaded, "left_alone": kept, "not_yet": not_yet})
            )
            return
        for one in published:
            self.stdout.write(f"{one.name} v{one.number}{'' if one.created else ' (unchanged)'}")
        for name, reason in not_yet.items():
            self.stdout.write(f"{name}: not published yet. {reason}")
        for name, count in loaded.items():
            self.stdout.write(f"{name}: {count} loaded")
        for article in left:
            self.stdout.write(
                f"left alone: {article.kind} {article.name} ({article.by}); "
                f"the difference: manage.py shipped diff {article.name}"
            )
