"""Says what a run waits for."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from workflows.errors import UnknownRun
from workflows.explain import explain_run


class Command(BaseCommand):
    help = "Says what a run waits for: one sentence for every step that has not ended."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", help="the run's id", metavar="ID")
        parser.add_argument("--json", action="store_true", help="as `GET /api/v1/runs/{id}/explain` answers")

    def handle(self, *, run: str, json: bool, **_: Any) -> None:
        try:
            told = explain_run(run)
        except UnknownRun as error:
            raise CommandError(f"{run[:100]}: {error.message}") from error
        if json:
            self.stdout.write(_as_json(told))
            return
        self.stdout.write(told["summary"])
        for one in told["waits"]:
            self.stdout.write(f"- {one['sentence']}")


def _as_json(told: dict[str, Any]) -> str:
    return json.dumps(told, cls=DjangoJSONEncoder, indent=2)
