"""When a process was started, as it says itself."""

import subprocess
import sys
import time


def test_it_is_neither_before_the_process_nor_after_it_asked() -> None:
    """The kernel tells its boot time in whole seconds: who counts from that is up to a second too early."""
    code = "from erip.foundation.process.beginning import started_at; print(started_at())"
    before = time.time()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert before - 0.05 <= float(done.stdout) <= time.time() + 0.05
