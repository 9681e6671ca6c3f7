"""manage.py events status|dead-letters|retry|discard|replay: look at the event bus, and fix what could not be done."""

from argparse import ArgumentParser
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError

from erip.foundation.errors import EripError
from erip.foundation.moments import moment
from workflows.events import letters, queries, replaying
from workflows.events.queries import Filter

#: the name that is recorded for what this command does
BY = "command:events"


class Command(BaseCommand):
    help = "Lag, owner and rate of the partitions; dead letters; replays."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        status = actions.add_parser("status", help="lag, owner and rate of each partition, and who consumes")
        found = actions.add_parser("dead-letters", help="events that could not take effect")
        found.add_argument("--status", choices=["open", "retried", "discarded", "any"], default="open")
        found.add_argument("--limit", type=int, default=50)
        for name, help_ in (("retry", "have dead letters tried again"), ("discard", "give dead letters up")):
            action = actions.add_parser(name, help=help_)
            action.add_argument("id", type=int, nargs="+")
        again = actions.add_parser("replay", help="have events of the log take effect again")
        again.add_argument("target", help="triggers, triggers:<name> or subscriptions:<id>")
        for name in ("type", "source", "subject", "after", "before"):
            again.add_argument(f"--{name}")
        again.add_argument("--execute", action="store_true", help="do it; otherwise only say what would be done")
        for action in (status, found, again):
            action.add_argument("--json", action="store_true", help="answer in JSON")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        try:
            getattr(self, f"_{action.replace('-', '_')}")(**options)
        except EripError as error:
            raise CommandError(str(error)) from error

    def _status(self, *, json: bool, **_: Any) -> None:
        status = queries.status()
        if json:
            self._print(status)
            return
        self.stdout.write(f"{'partition':>9} {'lag':>9} {'oldest':>9} {'rate':>9} {'position':>12}  owner")
        for one in status["partitions"]:
            oldest = f"{one['oldest_seconds']:.1f} s" if one["oldest_seconds"] is not None else "-"
            self.stdout.write(
                f"{one['partition']:>9} {one['lag']:>9} {oldest:>9} {one['rate']:>7.0f}/s {one['position']:>12}  "
                f"{one['owner'] or 'nobody'}"
            )
        for one in status["consumers"]:
            state = "alive" if one["alive"] else f"silent for {one['heartbeat_seconds']:.0f} s"
            speed = f", can serve {one['capacity']:.0f}/s" if one["capacity"] else ""
            self.stdout.write(f"{one['worker']}: {state}, {one['partitions']} partitions{speed}")
        self.stdout.write(
            f"{status['lag']} events wait, {status['rate']:.0f}/s, {status['dead_letters']} open dead letters."
        )

    def _dead_letters(self, *, status: str, limit: int, json: bool, **_: Any) -> None:
        page = queries.list_dead_letters(status=status, limit=limit)
        if json:
            self._print(page.items)
            return
        for one in page.items:
            part = f"{one['effect']}:{one['target']}" if one["target"] else one["effect"]
            place = one["position"] or "not logged"
            self.stdout.write(
                f"{one['id']:>8}  {one['at']:%Y-%m-%d %H:%M:%S}  {place:<12} {part}: {one['error']['message']}"
            )
        self.stdout.write(f"{len(page.items)} shown{', there are more' if page.next_cursor else ''}.")

    def _retry(self, *, id: list[int], **_: Any) -> None:
        for letter in id:
            letters.retry(letter, by=BY)
        self.stdout.write(f"{len(id)} handed back to their consumers.")

    def _discard(self, *, id: list[int], **_: Any) -> None:
        for letter in id:
            letters.discard(letter, by=BY)
        self.stdout.write(f"{len(id)} discarded.")

    def _replay(self, *, target: str, execute: bool, json: bool, **options: Any) -> None:
        wanted = Filter(
            options["type"], options["source"], options["subject"],
            *(_moment(name, options[name]) for name in ("after", "before")),
        )  # fmt: skip
        done = replaying.replay(wanted, target, by=BY) if execute else replaying.preview(wanted, target)
        if json:
            self._print({"target": target, "dry_run": not execute, "events": done.events, "effects": done.effects})
            return
        if execute:
            self.stdout.write(f"{done.events} events are on their way to {target}.")
            return
        for name, count in sorted(done.effects.items()):
            self.stdout.write(f"{name}: {count}")
        self.stdout.write(f"{done.events} events would be replayed to {target}; --execute does it.")

    def _print(self, value: Any) -> None:
        self.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())


def _moment(name: str, text: str | None) -> Any:
    if text is None:
        return None
    try:
        return moment(text)
    except ValueError as error:
        raise CommandError(f"--{name} {error}") from error
