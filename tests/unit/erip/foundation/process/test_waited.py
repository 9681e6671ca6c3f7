"""The time that a thread waits for a processor, on one that two share."""

import os
import subprocess
import sys
import threading

import pytest

from erip.foundation.process import waited

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="this system does not say")

SHARED = """
import os, threading, time
from erip.foundation.process import waited
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
if other := os.fork():
    began = time.thread_time()
    while time.thread_time() - began < 0.3: pass
    print(waited.for_a_processor(threading.get_native_id()))
    os.kill(other, 9)
else:
    while True: pass
"""


def test_a_thread_that_shares_its_processor_waits_for_it() -> None:
    said = subprocess.run([sys.executable, "-c", SHARED], capture_output=True, text=True, timeout=120, check=True)
    assert float(said.stdout) > 0.05


def test_a_thread_that_is_gone_waits_for_nothing() -> None:
    gone = threading.Thread(target=lambda: None)
    gone.start()
    gone.join()
    assert waited.for_a_processor(gone.native_id or 0) == 0.0
