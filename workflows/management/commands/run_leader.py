"""`manage.py run_leader`: due retries, deadlines, lost workers, lost messages. Run two of them; one leads."""

import os
import signal
from typing import Any

from erip.foundation.hooks import begin_process
from erip.foundation.process import parked
from erip.foundation.process.checking import Daemon
from erip.foundation.process.settled import settle
from erip.foundation.service import once
from workflows.leader.loop import Leader

SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: seconds that the current duty gets to finish when the leader is asked to end
PATIENCE = 1.0


class Command(Daemon):
    help = (
        "Does what one process must do: brings back the steps of lost workers, releases due retries, ends runs past "
        "their deadline and publishes forgotten work again. Run as many as you like; one of them leads."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Runs the duties in a thread and asks it to end, because a signal handler could interrupt them anywhere."""
        parked.wait("leader")
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        begin_process("leader")
        leader = Leader()
        settle()
        duties = once("leader", leader.run)
        told = None
        while duties.is_alive() and told is None:
            told = signal.sigtimedwait(SIGNALS, 1.0)
        if told is None:
            # Its traceback is in the log. A supervisor of this process must not take this for an end in good
            # order.
            raise SystemExit("the leader's duties ended by themselves")
        leader.stop()
        duties.join(PATIENCE)
        if duties.is_alive():
            # The lock ends with the connection, and the other candidate takes it: what the duty did is rolled back.
            os._exit(0)
