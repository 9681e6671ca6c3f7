"""manage.py doctor: what is wrong with this deployment, and what to do."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from erip.foundation.os_errors import in_words
from erip.management.doctor import examination
from erip.management.doctor.findings import State, exit_status
from erip.management.doctor.outside import Outside

_MARKS = {State.WELL: "●", State.WARNING: "◐", State.PROBLEM: "✖", State.UNKNOWN: "?"}


class Command(BaseCommand):
    help = (
        "Looks at the deployment that the settings here name, and says what is wrong and what to do. It changes "
        "nothing. Exit status: 0 nothing is wrong (there may be warnings), 1 there are problems, 2 there are none, but "
        "something could not be looked at."
    )
    # It looks at them itself, and also where they fail.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--url", default="", help="look from outside too, at this address, without a login")
        parser.add_argument("--ca", default="", help="PEM file of the authority that signed its certificate")
        parser.add_argument("--only-outside", action="store_true", help="look at --url alone")
        parser.add_argument("--all", action="store_true", help="show what is well, too")
        parser.add_argument("--json", action="store_true", help="everything, as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["only_outside"] and not options["url"]:
            raise CommandError("--only-outside needs --url.", returncode=2)
        outside = None
        if options["url"]:
            try:
                outside = Outside(options["url"], options["ca"])
            except OSError as error:
                raise CommandError(in_words(error, options["ca"]), returncode=2) from error
            except ValueError as error:
                raise CommandError(str(error), returncode=2) from error
        found = examination.whole(outside, inside=not options["only_outside"])
        status = exit_status(found)
        if options["json"]:
            findings = [{"about": f.about, "state": f.state, "says": f.says, "do": f.do} for f in found]
            self.stdout.write(json.dumps({"status": status, "findings": findings}))
        else:
            for one in found:
                if one.state is not State.WELL or options["all"]:
                    self.stdout.write(f"{_MARKS[one.state]} {one.about}: {one.says}")
                    if one.do:
                        self.stdout.write(f"  → {one.do}")
            counts = [f"{sum(one.state is state for one in found)} {state}" for state in State]
            self.stdout.write(", ".join(counts))
        if status:
            raise SystemExit(status)
