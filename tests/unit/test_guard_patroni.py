"""Patroni's race waits less for members that say nothing: what of Patroni's own code this rests on.

In a process of its own: Patroni changes the umask of whoever imports it.
"""

import json
import subprocess
import sys
from typing import Any

from erip.stack.state import ROOT

ASK = """
import json, sys
from types import SimpleNamespace
from erip.guard.patroni import ha, impatient

own = ha.Ha.fetch_node_status
asked = []

class Ha(ha.Ha):
    def __init__(self):
        self.patroni = SimpleNamespace(request=self.request)

    def request(self, member, **options):
        asked.append(options)
        if member.name == "silent":
            raise TimeoutError
        return SimpleNamespace(data=b'{"state": "running", "role": "replica", "xlog": {"received_location": 7}}')

impatient(Ha)
answers = [
    Ha().fetch_node_status(SimpleNamespace(name=name, api_url=f"http://{name}:8008/patroni"))
    for name in ("postgres-2", "silent")
]
json.dump({
    "asked": asked,
    "reachable": [one.reachable for one in answers],
    "position": answers[0].wal_position,
    "untouched": ha.Ha.fetch_node_status is own,
}, sys.stdout)
"""


def test_members_are_asked_with_less_patience_and_one_that_says_nothing_is_unknown() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told == {
        "asked": [{"timeout": 0.8, "retries": 0}] * 2,
        "reachable": [True, False],
        "position": 7,
        "untouched": True,
    }
