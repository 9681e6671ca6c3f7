"""The keeper beside one PostgreSQL: fences it when its region's turn is over. Note [One region writes]."""

import logging
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Final

from erip.ops.guard.etcd import EtcdError
from erip.ops.guard.judgement import Postmaster
from erip.ops.guard.node import Node
from erip.ops.region.configuration import Configuration
from erip.ops.region.ends import end_of
from erip.ops.region.witness import Term, TermError, Witness

log = logging.getLogger(__name__)

#: seconds between two questions
TICK: Final = 1.0
#: seconds between two looks whether the time is over, whatever a question that is under way takes
LOOK: Final = 0.1
#: seconds that a PostgreSQL may take to end in good order, of which all is sent to its standbys
PATIENCE: Final = 15.0
#: seconds that the standbys of a region may take before
WAIT: Final = 5.0
STANDBY: Final = "standby.signal"
CONTROL: Final = "global/pg_control"
FENCED: Final = "global/pg_control.fenced"


class Keeper:
    """The keeper that this configuration describes. One thread asks (`round`), another looks at the time (`look`)."""

    def __init__(self, configuration: Configuration, witness: Witness | None = None) -> None:
        self._configuration = configuration
        self._witness = witness or configuration.open()
        self._node = Node(Path("/"), configuration.data)
        #: when the last question was asked that was answered "yours"; nothing is known at first
        self._asked = _clock()
        #: the last term that was this region's, as the witness has it; None: unknown, which is not "none"
        self._held: int | None = None
        self._said = 0
        #: whether PostgreSQL here may write since it was answered "yours", until `hold` is over or it is fenced
        self._told = False
        #: whether PostgreSQL is just being ended in good order
        self._ending = False
        #: held by whoever fences or opens
        self._lock = threading.Lock()

    def run(self) -> None:
        """For ever."""
        # Patroni starts after it: whoever starts anew does not know whose turn it is, and nothing may write till then.
        while not self.round():
            time.sleep(LOOK)
        _notify("READY=1")
        threading.Thread(target=self._look_for_ever, name="look", daemon=True).start()
        while True:
            began = time.monotonic()
            self.round()
            _notify("WATCHDOG=1")
            time.sleep(max(0.0, TICK - (time.monotonic() - began)))

    def round(self) -> bool:
        """One question, and what follows from the answer. Returns whether anything does: there was an answer, or there
        was none for so long that PostgreSQL is fenced."""
        mine, data = self._configuration, self._configuration.data
        asked, term = _clock(), None
        try:
            if self._held is None:
                held = self._witness.held(mine.region, mine.node)
                self._witness.register(mine.region, mine.node, held)
                self._held, self._said = held, self._witness.said(mine.region, mine.node)
            term = self._witness.term()
            if term is None:
                # Nothing is decided between regions yet: `begin` makes the first term.
                self._asked = asked
                return True
            if term.holder == mine.region:
                self._ours(term, asked)
                return True
        except (EtcdError, TermError) as error:
            log.warning("the witness: %s", error)
            if term is not None and term.holder == mine.region:
                return True  # the turn is ours; what could not be written is written in the next round
        known = term is not None or self._is_over()
        if known:
            if term is not None and self._held and self._said >= term.number and follows(data) and _whole(data):
                # It was fenced in this term, and is there again: a copy of who writes.
                self._forget_turn()
            elif self._held != 0 or not follows(data):
                self._fence(term)
            elif term is not None and (data / FENCED).exists() and (data / STANDBY).exists():
                unfence(data)
        if term is not None and follows(data):
            self._say(term)
        return known

    def _ours(self, term: Term, asked: float) -> None:
        with self._lock:
            if _clock() - asked > self._configuration.hold:
                return  # an answer from so long ago says nothing of now
            if (self._configuration.data / FENCED).exists():
                if self._held != term.number:
                    log.warning(
                        "the turn is ours again, and PostgreSQL here is not a copy of who wrote meanwhile: make it one"
                    )
                    return
                unfence(self._configuration.data)
            self._asked, self._told = asked, True
        if self._held != term.number:
            self._witness.register(self._configuration.region, self._configuration.node, term.number)
            self._held = term.number

    def _fence(self, term: Term | None) -> None:
        data = self._configuration.data
        if not _whole(data):
            return
        if term is not None and term.planned and not (data / STANDBY).exists():
            self._wait_for_standbys(term)
            self._ending = True
            end(self._node, data)
        with self._lock:
            if _whole(data):
                fence(self._node, data)
            self._told = self._ending = False

    def look(self) -> None:
        """Fence when the time is over: the answer to a question may take longer than what is left of it."""
        with self._lock:
            data = self._configuration.data
            if self._told and not self._ending and self._is_over():
                if _whole(data) and (self._held != 0 or not follows(data)):
                    fence(self._node, data)
                self._told = False

    def _look_for_ever(self) -> None:
        try:
            while True:
                self.look()
                time.sleep(LOOK)
        except BaseException:
            log.exception("it cannot fence")
            # PostgreSQL ends with its keeper.
            os._exit(1)

    def _is_over(self) -> bool:
        return _clock() - self._asked > self._configuration.hold

    def _wait_for_standbys(self, term: Term) -> None:
        """Those of this region first: Patroni would make one of them a primary while this one ends."""
        mine, deadline = self._configuration, time.monotonic() + WAIT
        while time.monotonic() < deadline:
            try:
                if self._witness.all_fenced(term.number, [mine.region], but=mine.node):
                    return
            except EtcdError as error:
                log.warning("the witness: %s", error)
            time.sleep(0.1)

    def _say(self, term: Term) -> None:
        if term.number == self._said:
            return
        mine = self._configuration
        # A keeper that was started anew in between reads the same: what its PostgreSQL left tells it.
        ended = end_of(mine.data, FENCED, follows=(mine.data / STANDBY).exists())
        try:
            self._witness.say_fenced(term.number, mine.region, mine.node, ended)
            self._said = term.number
        except EtcdError as error:
            log.warning("the witness: %s", error)

    def _forget_turn(self) -> None:
        try:
            self._witness.register(self._configuration.region, self._configuration.node, 0)
            self._held = 0
        except EtcdError as error:
            log.warning("the witness: %s", error)


def follows(data: Path) -> bool:
    """Whether what starts there follows somebody, or nothing can start there at all."""
    return (data / STANDBY).exists() or not _whole(data)


def _whole(data: Path) -> bool:
    """Whether PostgreSQL can be started there."""
    return (data / CONTROL).exists()


def end(node: Node, data: Path) -> None:
    """End a primary in good order: the last thing that it does is to send its standbys everything."""
    pid = _postmaster(data)
    if pid is None or node.postmaster() is not Postmaster.RUNS:
        return
    os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + PATIENCE
    while node.postmaster() is Postmaster.RUNS and time.monotonic() < deadline:
        time.sleep(0.05)


def fence(node: Node, data: Path) -> None:
    """Nothing that is in `data` takes a write any more, and nothing can be started on it. Raises OSError."""
    # The name first: whatever starts from here on finds no control file, and what runs is killed after it.
    (data / CONTROL).rename(data / FENCED)
    while not node.kill_postgres():
        log.error("PostgreSQL does not die")
    log.warning("fenced: PostgreSQL in %s takes no writes", data)


def unfence(data: Path) -> None:
    """It can be started again. Raises OSError."""
    (data / FENCED).rename(data / CONTROL)
    log.warning("PostgreSQL in %s can be started again", data)


def _clock() -> float:
    """Seconds by a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _postmaster(data: Path) -> int | None:
    try:
        return abs(int((data / "postmaster.pid").read_text().split("\n", 1)[0]))
    except (OSError, ValueError):
        return None


def _notify(text: str) -> None:
    """Tell systemd (sd_notify(3)); nothing where it did not start us."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sent:
            sent.sendto(text.encode(), "\0" + path[1:] if path.startswith("@") else path)
