"""`manage.py shipped`: what this release ships beside what is in the database, and the way to take the shipped one."""

import json
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from erip.foundation import hooks
from erip.foundation.shipped import Article, Source, Standing

MEANING = {
    Standing.NEW: "not loaded yet: manage.py bootstrap loads it",
    Standing.SAME: "as shipped",
    Standing.OLDER: "as an earlier release shipped it: manage.py bootstrap brings it up to date",
    Standing.YOURS: "yours: bootstrap leaves it alone",
    Standing.REMOVED: "deleted here: bootstrap does not bring it back",
}


class Command(BaseCommand):
    help = (
        "What this release ships (definitions, decision tables, obligations, event types) beside what is in the "
        "database. `list` (all that differs, or --all), `diff [NAME …]` (from what is here to what is shipped), "
        "`take NAME …` (put the shipped one in force; a version of yours stays in the history)."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("action", nargs="?", choices=["list", "diff", "take"], default="list")
        parser.add_argument("names", nargs="*", metavar="NAME", help="as breach-response, or obligation:gdpr-33")
        parser.add_argument("--all", action="store_true", help="list also what is as shipped")
        parser.add_argument("--json", action="store_true", help="print the list as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = list(_chosen(options["names"]))
        if options["action"] == "take":
            self._take(chosen, bool(options["names"]))
        elif options["action"] == "diff":
            for _, article in chosen:
                for line in article.difference():
                    self.stdout.write(line.replace("--- here", f"--- {article.kind} {article.name}, here", 1))
        else:
            self._list([article for _, article in chosen], every=options["all"] or bool(options["names"]), **options)

    def _list(self, articles: list[Article], *, every: bool, **options: Any) -> None:
        shown = [one for one in articles if every or one.standing is not Standing.SAME]
        if options["json"]:
            rows = [{"kind": one.kind, "name": one.name, "standing": one.standing, "by": one.by} for one in shown]
            self.stdout.write(json.dumps(rows))
            return
        for one in shown:
            by = f" ({one.by})" if one.by else ""
            self.stdout.write(f"{one.kind} {one.name}{by}: {MEANING[one.standing]}")
        same = len(articles) - len(shown)
        if same:
            self.stdout.write(f"{same} of {len(articles)} are as shipped")

    def _take(self, chosen: list[tuple[Source, Article]], named: bool) -> None:
        if not named:
            raise CommandError("Name what to take: manage.py shipped take NAME …")
        for source, article in chosen:
            if article.standing is Standing.SAME:
                self.stdout.write(f"{article.kind} {article.name}: is as shipped already")
            else:
                self.stdout.write(f"{article.kind} {article.name}: {source.take(article.name)}")


def _chosen(names: Iterable[str]) -> Iterable[tuple[Source, Article]]:
    """All articles, or those named; raises CommandError with every name that there is not, or that is not clear."""
    everything = [(source, article) for source in hooks.shipped.all() for article in source.articles()]
    if not names:
        return everything
    found, faults = [], []
    for name in names:
        kind, colon, rest = name.partition(":")
        fitting = [
            pair
            for pair in everything
            if pair[1].name == name or (colon and (pair[1].kind, pair[1].name) == (kind, rest))
        ]
        if len(fitting) == 1:
            found += fitting
        elif fitting:
            faults.append(f"{name}: write " + " or ".join(f"{one.kind}:{one.name}" for _, one in fitting))
        else:
            faults.append(f"{name}: nothing of this name is shipped")
    if faults:
        raise CommandError("\n".join(faults))
    return found
