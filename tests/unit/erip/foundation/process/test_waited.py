"""What a thread did lately, as Linux tells it."""

import os
import subprocess
import sys
import threading

import pytest

from erip.foundation.process.waited import Stand, at_it, stand_of
from tests.workers import until

SHARED = """
import os, threading
from time import monotonic, thread_time
from erip.foundation.process.waited import at_it, stand_of
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
if other := os.fork():
    began, before = monotonic(), stand_of(threading.get_native_id())
    while thread_time() < 0.5: pass
    took = monotonic() - began
    print(took, at_it(took, before, stand_of(threading.get_native_id())))
    os.kill(other, 9)
else:
    while True: pass
"""

#: the same, measured by the thread itself, which then sleeps as well
WATCHED = """
import os, time
from time import monotonic, thread_time
from erip.foundation.process.waited import Stopwatch
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
if other := os.fork():
    watch = Stopwatch()
    while thread_time() < 0.5: pass
    took, busy = monotonic() - watch.began, watch.at_it()
    os.kill(other, 9)
    time.sleep(0.5)
    print(took, busy, watch.at_it() - busy)
else:
    while True: pass
"""

linux = pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="this system does not say")


@linux
def test_a_thread_that_shares_its_processor_is_not_at_it_all_the_while() -> None:
    said = subprocess.run([sys.executable, "-c", SHARED], capture_output=True, text=True, timeout=120, check=True)
    took, busy = map(float, said.stdout.split())
    assert busy < took - 0.1
    assert busy > 0.1


@linux
def test_a_thread_that_shares_its_processor_sees_itself_what_it_was_at() -> None:
    said = subprocess.run([sys.executable, "-c", WATCHED], capture_output=True, text=True, timeout=120, check=True)
    took, busy, slept = map(float, said.stdout.split())
    assert 0.1 < busy < took - 0.1
    assert slept > 0.25, "what blocks it is what it does"


@linux
def test_a_thread_that_is_blocked_is_not_runnable() -> None:
    go_on = threading.Event()
    blocked = threading.Thread(target=go_on.wait)
    blocked.start()
    assert blocked.native_id
    until(lambda: (found := stand_of(blocked.native_id or 0)) is not None and not found.runnable)
    go_on.set()
    blocked.join()
    mine = stand_of(threading.get_native_id())
    assert mine is not None
    assert mine.runnable
    assert mine.ran > 0


def test_a_thread_that_is_gone_stands_nowhere() -> None:
    gone = threading.Thread(target=lambda: None)
    gone.start()
    gone.join()
    until(lambda: stand_of(gone.native_id or 0) is None)


def test_what_it_was_at() -> None:
    before = Stand(True, ran=1.0, waited=5.0)
    # It could run, and had 10 ms: the rest of the time it waits, which is not counted yet.
    assert at_it(0.4, before, Stand(True, ran=1.01, waited=5.0)) == pytest.approx(0.01)
    # It ran before these seconds as well.
    assert at_it(0.4, before, Stand(True, ran=3.0, waited=5.0)) == 0.4
    # It is blocked, and waited for a processor before.
    assert at_it(0.4, before, Stand(False, ran=1.01, waited=5.1)) == pytest.approx(0.3)
    assert at_it(0.4, before, Stand(False, ran=1.01, waited=9.0)) == 0.0
    # Nobody says.
    assert at_it(0.4, None, before) == at_it(0.4, before, None) == 0.4
