"""What a drill does as the platform, on the restored database: run in a process of its own, whose settings name it.

It reads one JSON object from its standard input, `{"persons": [fingerprint, …]}`, and prints one line that begins with
ANSWER: `{"keys": {name: opened or not}, "again": n, "refused": {fingerprint: why}}`.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from erip.ops.stack.state import ROOT

ANSWER: Final = "erip-drill: "
#: seconds for a start of Django and what it is asked
_PATIENCE: Final = 600.0


def ask(env: Mapping[str, str], persons: Sequence[str]) -> dict[str, Any]:
    """Run it. env: of the restored platform. Raises OSError if it does not answer."""
    done = subprocess.run(
        [sys.executable, "-m", "erip.management.drill.inside"],
        input=json.dumps({"persons": list(persons)}),
        env=dict(env),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    for line in done.stdout.splitlines():
        if line.startswith(ANSWER):
            found: dict[str, Any] = json.loads(line.removeprefix(ANSWER))
            return found
    raise OSError(f"the platform did not load on what was restored: {(done.stderr.strip().splitlines() or [''])[-1]}")


def main() -> int:
    asked = json.load(sys.stdin)
    import django

    django.setup()
    answer = {"keys": _keys(), **_again(asked["persons"])}
    print(f"\n{ANSWER}{json.dumps(answer)}", flush=True)
    return 0


def _keys() -> dict[str, bool]:
    """For each key-encryption key that something is wrapped with: whether one of these could be opened."""
    from erip.foundation.errors import EripError
    from workflows.privacy.keys import is_living
    from workflows.privacy.models import DataKey
    from workflows.secrets.models import Secret
    from workflows.secrets.providers import database

    opened: dict[str, bool] = {}
    living = DataKey.objects.filter(destroyed_at__isnull=True)
    for key in living.order_by("wrapped_by", "-pk").distinct("wrapped_by"):
        try:
            opened[key.wrapped_by] = is_living(key.pk)
        except EripError:
            opened[key.wrapped_by] = False
    stored = Secret.objects.filter(data_key__isnull=False)
    for secret in stored.order_by("wrapped_by", "-pk").distinct("wrapped_by"):
        by = secret.wrapped_by
        try:
            database.wrap_anew(secret)  # of this object alone: it is not saved
            opened[by] = opened.get(by, True)
        except EripError:
            opened[by] = False
    return opened


def _again(persons: Sequence[str]) -> dict[str, Any]:
    """Erase these persons once more."""
    from erip.audit.operation import Operation, doing
    from erip.foundation.errors import EripError
    from workflows.privacy import persons as privacy

    done, refused = 0, {}
    for person in persons:
        try:
            with doing(Operation("command", "command:drill", lambda: "drill")):
                privacy.repeat(person, by="drill", reason="a drill: a backup from before was restored")
            done += 1
        except EripError as error:
            refused[person] = error.code
    return {"again": done, "refused": refused}


if __name__ == "__main__":
    sys.exit(main())
