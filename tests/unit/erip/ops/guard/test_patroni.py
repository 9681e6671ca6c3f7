"""Patroni's race waits less for members that say nothing: what of Patroni's own code this rests on.

In a process of its own: Patroni changes the umask of anyone who imports it.
"""

import json
import subprocess
import sys
from typing import Any

from erip.ops.stack.state import ROOT

ASK = """
import json, sys
from types import SimpleNamespace
from erip.ops.guard.patroni import ha, impatient

own = ha.Ha.fetch_node_status
asked = []

class Ha(ha.Ha):
    def __init__(self, unlocked):
        self.patroni = SimpleNamespace(request=self.request)
        sync = SimpleNamespace(leader="silent")
        self.cluster = SimpleNamespace(is_unlocked=lambda: unlocked, sync=sync)

    def request(self, member, **options):
        asked.append(options)
        if member.name == "silent":
            raise TimeoutError
        return SimpleNamespace(data=b'{"state": "running", "role": "replica", "xlog": {"received_location": 7}}')

impatient(Ha)
answers = [
    Ha(unlocked).fetch_node_status(SimpleNamespace(name=name, api_url=f"http://{name}:8008/patroni"))
    for unlocked, name in ((True, "postgres-2"), (True, "silent"), (False, "silent"))
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
        # The former leader has less; there is none while somebody leads.
        "asked": [{"timeout": seconds, "retries": 0} for seconds in (0.8, 0.2, 0.8)],
        "reachable": [True, False, False],
        "position": 7,
        "untouched": True,
    }
