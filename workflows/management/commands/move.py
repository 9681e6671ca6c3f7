"""`manage.py move`: put a workflow into a space."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from workflows.engine import spaces
from workflows.errors import WorkflowsError


class Command(BaseCommand):
    help = "Put a workflow, with its runs and schedules, into a space, or take it out of its space."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("workflow")
        parser.add_argument("space", help="the name of a space; '' for none")

    def handle(self, *args: Any, **options: Any) -> None:
        workflow, space = options["workflow"], options["space"]
        try:
            ended = spaces.move(workflow, space)
        except WorkflowsError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"{workflow}: {f'in {space}' if space else 'in no space'}")
        for said in ended:
            self.stdout.write(f"  {said}")
