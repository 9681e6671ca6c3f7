"""manage.py reference PAGE: the pages of docs/, and the files of deploy/, that are generated from the code."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from erip.access import table
from erip.foundation.errors import EripError
from erip.foundation.hooks import metrics
from monitoring.core.catalog import MEANINGS
from monitoring.exporting import alertmanager, prometheus_rules
from workflows.library.shipping.page import obligations_page

ROOT = Path(__file__).resolve().parents[3]

_OURS = ("erip.", "workflows.", "schedules.", "people.", "monitoring.")


class Command(BaseCommand):
    help = "Prints a page of the documentation that is made from the code: a test compares them."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("page", choices=sorted(PAGES))

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(PAGES[options["page"]](), ending="")


def errors() -> str:
    """docs/reference/errors.md"""
    import_module(settings.ROOT_URLCONF)
    rows = {
        (error.status, error.code.replace("_", "-"), _first_paragraph(error))
        for error in _below(EripError)
        if error.__module__.startswith(_OURS) and "code" in vars(error)
    }
    return "\n".join(
        [
            "# Errors",
            "",
            "Every error of the API is a problem document (RFC 9457): `type`, `title`, `status`, `detail`, `code`, and",
            "`faults` with the path and the message of everything that is wrong with what was sent. Programs compare",
            "`code`. Besides these there are the errors of HTTP itself: `not-found`, `method-not-allowed`,",
            "`payload-too-large`, `database-unavailable` and the like.",
            "",
            "This page is made by `manage.py reference errors`.",
            "",
            "| status | code | what it means and what to do |",
            "| --- | --- | --- |",
            *(f"| {status} | `{code}` | {text} |" for status, code, text in sorted(rows)),
            "",
        ]
    )


def notes() -> str:
    """docs/explanation/notes.md. Raises CommandError where two notes have one name: nobody would find the first."""
    found: dict[str, str] = {}
    for package in ("erip", "workflows", "schedules", "people", "monitoring", "console", "benchmarks"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for name in re.findall(r"^ *Note \[([^\]]+)\]$", path.read_text("utf-8"), re.MULTILINE):
                here = path.relative_to(ROOT).as_posix()
                if (other := found.setdefault(name, here)) != here:
                    raise CommandError(f"{other} and {here} both have a note [{name}]: give one another name")
    return "\n".join(
        [
            "# The named notes",
            "",
            "A reason that is too long for a comment stands as a named note in the module that owns it, and other",
            "places cite it by its name. This page is made by `manage.py reference notes`.",
            "",
            *(f"- **{name}**: [`{path}`](../../{path})" for name, path in sorted(found.items())),
            "",
        ]
    )


def metrics_page() -> str:
    """docs/reference/metrics.md"""
    lines = [
        "# Metrics",
        "",
        "Each process keeps these, in Prometheus' terms; `erip.foundation.process.exposition` renders them. An app",
        "adds its own registry with `hooks.metrics`. This page is made by `manage.py reference metrics`.",
        "",
        "| name | type | meaning |",
        "| --- | --- | --- |",
    ]
    for registry in metrics.all():
        for family in sorted(registry.collect(), key=lambda one: one.name):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            lines.append(f"| `{name}` | {family.type} | {family.documentation} |")
    lines += [
        "",
        "The collector adds what it reads from the servers and the database ([monitoring](../how-to/monitoring.md)).",
        "",
        "| name | type | meaning |",
        "| --- | --- | --- |",
    ]
    for name, meaning in sorted(MEANINGS.items()):
        lines.append(f"| `{name}` | {'counter' if name.endswith('_total') else 'gauge'} | {meaning} |")
    return "\n".join([*lines, ""])


def access() -> str:
    """docs/reference/access.md"""
    import_module(settings.ROOT_URLCONF)
    return table.page()


PAGES = {
    "access": access,
    "errors": errors,
    "notes": notes,
    "metrics": metrics_page,
    "obligations": obligations_page,
    # deploy/monitoring/rules.yml and deploy/monitoring/alertmanager.yml
    "prometheus-rules": prometheus_rules,
    "alertmanager": alertmanager,
}


def _below(root: type[EripError]) -> Iterator[type[EripError]]:
    for each in root.__subclasses__():
        yield each
        yield from _below(each)


def _first_paragraph(error: type[EripError]) -> str:
    return " ".join((error.__doc__ or "").strip().split("\n\n")[0].split()).replace("|", "\\|")
