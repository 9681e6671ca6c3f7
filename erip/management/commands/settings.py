"""manage.py settings reference|show: what can be set, and what is set here."""

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from erip.settings.declared import DECLARED, Declared

_HEAD = """# Settings

Read from the environment and, with `erip.settings.local`, from `<state directory>/env`, which the local stack writes.
A value that cannot be read stops the start, with every such value named. The local stack has a few more of its own:
ports, servers, user ([the local stack](../how-to/local-stack.md#settings)); so has
[HAProxy](../how-to/high-availability.md#files-for-production).

This page is made by `manage.py settings reference`; a test compares them.
"""


class Command(BaseCommand):
    help = "Prints what can be set (reference), or the values in force here (show), without secrets."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("what", choices=["reference", "show"])
        parser.add_argument("--json", action="store_true", help="show: as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["what"] == "reference":
            self.stdout.write(reference(), ending="")
            return
        values = {name: _value(one) for name, one in DECLARED.items() if hasattr(settings, name)}
        if options["json"]:
            self.stdout.write(json.dumps(values, default=str))
            return
        for name, value in values.items():
            self.stdout.write(f"{name}={value}")


def reference() -> str:
    """docs/reference/settings.md"""
    sections: dict[str, list[Declared]] = {}
    for one in DECLARED.values():
        sections.setdefault(one.section, []).append(one)
    lines = [_HEAD]
    for section in sorted(sections):
        lines += [f"## {section}", "", "| variable | type | default | meaning |", "| --- | --- | --- | --- |"]
        for one in sections[section]:
            default = f"`{one.default}`" if one.default else "none"
            about = f"{one.about} Secret." if one.secret else one.about
            lines.append(f"| `{one.name}` | {one.kind} | {default} | {about} |")
        lines.append("")
    return "\n".join(lines)


def _value(one: Declared) -> Any:
    value = getattr(settings, one.name)
    return "(set)" if one.secret and value else value
