"""`manage.py access`: who may do what. Grants roles and takes them away, and says why somebody may do something."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from erip.access import explaining, granting, spaces
from erip.access.actions import needs_of
from erip.access.catalog import BUILT_IN, closed, permissions_of
from erip.access.models import Grant, Role
from erip.foundation.errors import EripError


class Command(BaseCommand):
    help = "Who may do what: roles, grants, spaces, and why."

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="what", required=True)
        commands.add_parser("roles", help="the roles, built-in and own ones")
        commands.add_parser("grants", help="who was granted what")
        made = commands.add_parser("grant", help="give a role")
        taken = commands.add_parser("revoke", help="take a role away")
        for each in (made, taken):
            each.add_argument("role")
            each.add_argument("holder", help="user:NAME, group:NAME or key:NAME")
            each.add_argument("--space", default="", help="in this space (default: on everything)")
        made.add_argument("--hours", type=float, help="hours until it ends by itself (default: never)")
        space = commands.add_parser("space", help="make a space")
        space.add_argument("name")
        space.add_argument("--description", default="")
        asked = commands.add_parser("explain", help="why somebody may do something, or may not")
        asked.add_argument("principal", help="user:NAME or key:NAME")
        asked.add_argument("action", help="a permission, or a method and an address: 'POST /api/v1/runs/bulk'")
        asked.add_argument("--object", default="", help="run:ID, workflow:NAME, schedule:NAME or space:NAME")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['what']}")(options)
        except EripError as error:
            raise CommandError(error.message) from error

    def _roles(self, options: dict[str, Any]) -> None:
        for name, meaning in BUILT_IN.items():
            self._line(name, f"{meaning} ({_many(permissions_of(name))})")
        for role in Role.objects.all():
            self._line(role.name, f"{role.description or 'own role'} ({_many(closed(role.permissions))})")

    def _grants(self, options: dict[str, Any]) -> None:
        for one in Grant.objects.select_related("user", "group", "key").order_by("id"):
            ends = f", until {one.expires_at:%Y-%m-%d %H:%M} UTC" if one.expires_at else ""
            self._line(one.holder, f"{one.role} {f'in {one.space}' if one.space else 'on everything'}{ends}")

    def _grant(self, options: dict[str, Any]) -> None:
        hours = options["hours"]
        if hours is not None and not 0 < hours <= 24 * 36_500:
            raise CommandError("--hours must be more than 0 and at most 876000.")
        made = granting.grant(
            options["role"],
            options["holder"],
            space=options["space"],
            by="command",
            expires_at=timezone.now() + timedelta(hours=hours) if hours is not None else None,
        )
        self.stdout.write(str(made))

    def _revoke(self, options: dict[str, Any]) -> None:
        granting.take_away(options["role"], options["holder"], space=options["space"])
        self.stdout.write(f"{options['holder']} no longer has the role {options['role']}.")

    def _space(self, options: dict[str, Any]) -> None:
        granting.make_space(options["name"], options["description"])
        self.stdout.write(f"{options['name']}: made")

    def _explain(self, options: dict[str, Any]) -> None:
        space = spaces.space_named(options["object"]) if options["object"] else None
        found = explaining.explain(options["principal"], needs_of(options["action"]), space=space)
        self.stdout.write(explaining.sentence(found))
        for part in found["permissions"]:
            has = "has" if part["allowed"] else "lacks"
            self._line(f"{has} {part['permission']}", f"in the roles {', '.join(part['roles'])}")

    def _line(self, name: str, rest: str) -> None:
        self.stdout.write(f"{name:<32} {rest}")


def _many(permissions: frozenset[str]) -> str:
    return "every permission" if "*" in permissions else f"{len(permissions)} permissions"
