"""Some threads of a process give way, and the rest do not. In a process of its own: niceness cannot be taken back."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, os, threading
from erip.foundation.process.niceness import give_way
def nice(): return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
found, begun, go = {}, threading.Barrier(3), threading.Event()
def run(name):
    begun.wait(); go.wait(); found[name] = nice()
threads = {name: threading.Thread(target=run, args=(name,)) for name in ("consumer", "steps")}
before = nice()
for thread in threads.values(): thread.start()
begun.wait()
give_way(5, but=[threads["consumer"].native_id])
late = threading.Thread(target=lambda: found.update(late=nice()))
late.start(); late.join(); go.set()
for thread in threads.values(): thread.join()
found["main"] = nice()
print(json.dumps({name: value - before for name, value in found.items()}))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads have a niceness of their own on Linux only")
def test_all_threads_give_way_but_those_that_are_named() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"consumer": 0, "steps": 5, "late": 5, "main": 5}
