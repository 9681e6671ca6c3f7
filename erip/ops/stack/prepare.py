"""Brings a database up to date: tables, reference definitions and data, the administrator, an API key.

`python -m erip.ops.stack.prepare` runs Django's commands in one process, as Django takes longer to start than they take
to run. It reads `{"admin_password": …, "new_database": …}` and writes one JSON object a line: `{"done": title,
"seconds": …}` after each command, `{"api_key": …}` if it made one.
"""

import io
import json
import os
import sys
import time
from typing import Any

import django


def main() -> int:
    """Run every command; a failure ends it with a traceback on stderr, which is the log."""
    order = json.loads(sys.stdin.readline())
    django.setup()
    _call("tables up to date", "migrate", interactive=False, verbosity=0)
    _call("reference definitions and data loaded", "bootstrap")
    if order["new_database"]:
        # ensure_admin reads a password of one line from its standard input.
        sys.stdin = io.StringIO(order["admin_password"] + "\n")
        _call("administrator ready", "ensure_admin", username="admin", password_stdin=True)
        made = _call(
            "API key made", "create_api_key", name=f"local-stack-{os.urandom(4).hex()}", scope="admin", json=True
        )
        _tell(api_key=json.loads(made)["key"])
    return 0


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
