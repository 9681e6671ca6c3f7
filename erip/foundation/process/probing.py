"""A question to a dependency, asked by one thread for all callers: hundreds of probes a second cost one query."""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from erip.foundation.service import once


class Probe:
    """What is known about a dependency. Any thread may use it.

    Note [Probing]
    An answer is good for `known_for` seconds. The first caller after that starts one question, in a thread, and all
    callers that arrive meanwhile wait for the same one. For a failing dependency the time of its first failure is kept.
    A failover takes one to three seconds, and one failed question during it must not take every process out of the load
    balancer's rotation at once, so `ok_within` tolerates a failure for a while. A dependency that has not answered
    since the process began is not tolerated.
    """

    def __init__(self, name: str, ask: Callable[[], None], *, known_for: float, patience: float) -> None:
        """ask: raises if there is no answer; bounds its own time, to about `patience` seconds."""
        self.name = name
        self._ask = ask
        self._known_for = known_for
        self.patience = patience
        self.forget()
        os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        """Forget everything, in a forked process."""
        self._lock = threading.Lock()
        self._asking: Future[None] | None = None
        #: on the monotonic clock: when the current question began, when the last one ended, since when questions have
        #: failed
        self._asking_since = self._asked_at = 0.0
        self._failing_since: float | None = None
        self._answered = False
        self._error = ""
        #: questions that were asked
        self.questions = 0

    def refresh(self) -> "Future[None] | None":
        """The current question, started now if there was none; None if the last answer is still good."""
        with self._lock:
            if self._asking is not None:
                return self._asking
            now = time.monotonic()
            if self.questions and now - self._asked_at < self._known_for:
                return None
            asking: Future[None] = Future()
            self._asking = asking
            self._asking_since = now
            self.questions += 1
        once(f"probe-{self.name}", lambda: self._work(asking))
        return asking

    def _work(self, asking: "Future[None]") -> None:
        error = ""
        try:
            self._ask()
        except Exception as failure:
            error = str(failure).strip() or type(failure).__name__
        with self._lock:
            self._asked_at = time.monotonic()
            self._error = error
            if not error:
                self._answered, self._failing_since = True, None
            elif self._failing_since is None:
                self._failing_since = self._asking_since
            self._asking = None
        asking.set_result(None)

    def look(self) -> None:
        """Wait until the last answer is recent enough, for `patience` seconds at most."""
        asking = self.refresh()
        if asking is not None:
            try:
                asking.result(self.patience)
            except TimeoutError:
                return

    def ok(self) -> bool:
        """Whether it answers."""
        return self.ok_within(0.0)

    def ok_within(self, grace: float) -> bool:
        """Whether it answers, or did answer and has failed for no longer than `grace` seconds."""
        with self._lock:
            now = time.monotonic()
            since = self._failing_since
            if since is None and self._asking is not None and now - self._asking_since > self.patience:
                since = self._asking_since
            return self._answered and (since is None or now - since < grace)

    @property
    def error(self) -> str:
        """The error of the last question; empty if it was answered."""
        return self._error
