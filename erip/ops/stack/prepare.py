"""Brings a database up to date: tables, reference definitions and data, the administrator, an API key.

`python -m erip.ops.stack.prepare` runs Django's commands in one process, as Django takes longer to start than they take
to run. It reads `{"admin_password": …, "new_database": …}` and writes one JSON object a line: `{"done": title,
"seconds": …}` after each command, `{"warning": …}` for what somebody should know, `{"api_key": …}` if it made one.
"""

import io
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import django

#: `erip.foundation.db.phases.LEFT`, which cannot be imported before Django is set up
LEFT: Final = "Left for later:"
#: how many things a line names
SHOWN: Final = 3


def main() -> int:
    """Run every command; a failure ends it with a traceback on stderr, which is the log."""
    order = json.loads(sys.stdin.readline())
    django.setup()
    left = _call("tables up to date", "migrate", interactive=False, verbosity=0).strip()
    if left.startswith(LEFT):
        # Once the processes before are gone it is done again.
        _tell(warning=left, not_yet=["migrate"])
    loaded = json.loads(_call("reference definitions and data loaded", "bootstrap", json=True))
    if message := left_alone(loaded["left_alone"]):
        _tell(warning=message)
    if loaded["not_yet"]:
        _tell(not_yet=list(loaded["not_yet"]))
    if order["new_database"]:
        # ensure_admin reads a password of one line from its standard input.
        sys.stdin = io.StringIO(order["admin_password"] + "\n")
        _call("administrator ready", "ensure_admin", username="admin", password_stdin=True)
        made = _call(
            "API key made",
            "create_api_key",
            name=f"local-stack-{os.urandom(4).hex()}",
            owner="admin",
            scope="admin",
            json=True,
        )
        _tell(api_key=json.loads(made)["key"])
    return 0


def left_alone(articles: Sequence[Mapping[str, str]]) -> str:
    """One line on what was left as a user made it, though this release ships something else; empty if nothing was.

    articles: each with `kind`, `name` and `by`, as `bootstrap --json` lists them.
    """
    if not articles:
        return ""
    named = [f"{one['kind']} {one['name']} ({one['by']})" for one in articles[:SHOWN]]
    more = [f"{len(articles) - SHOWN} more"] if len(articles) > SHOWN else []
    return (
        f"Left as you made it: {', '.join([*named, *more])}. This release ships another: `.venv/bin/python manage.py "
        f"shipped diff {articles[0]['name']}` shows the difference, `shipped take` puts the shipped one in force."
    )


def _call(title: str, command: str, **options: Any) -> str:
    from django.core.management import call_command

    output = io.StringIO()
    started = time.monotonic()
    call_command(command, stdout=output, **options)
    _tell(done=title, seconds=round(time.monotonic() - started, 2))
    return output.getvalue()


def _tell(**what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    sys.exit(main())
