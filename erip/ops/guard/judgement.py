"""What the guard does about its own node: pure, one look after the other."""

from dataclasses import dataclass
from enum import StrEnum

#: seconds without an answer after which the leader's postmaster counts as frozen
POSTMASTER_SILENCE = 2.5
#: the same for Patroni, whose answers take longer when the machine is busy
PATRONI_SILENCE = 4.0
#: a frozen Patroni of a standby endangers nothing; it is started again all the same
STANDBY_SILENCE = 30.0
#: seconds without an answer from any other machine, on the leader's node: Note [Cut off] in `outside`
CUT_OFF = 2.5
#: a judge that got no processor time for so long must not hold the silence against others
OWN_SLEEP = 1.0


class Postmaster(StrEnum):
    """As seen by its process and its pid file."""

    RUNS = "runs"
    ABSENT = "absent"  # never started, or stopped in good order: it took its pid file away
    CRASHED = "crashed"  # gone, and its pid file is still there


class Do(StrEnum):
    """What the guard does."""

    NOTHING = "nothing"
    RESTART = "restart"  # Patroni alone: PostgreSQL goes on, and Patroni takes it over
    FENCE = "fence"  # kill Patroni and PostgreSQL, let go of the leader key, start Patroni


@dataclass(frozen=True)
class Look:
    """One look at the node. Times are monotonic seconds.

    `leads`: whether this node holds the leader key; None when etcd does not say. `led`: the last answer that etcd gave
    to this. `…_heard`: when it last answered. `patroni_heard` is None for a Patroni that has not answered since its
    start: it may be waiting for etcd. `outside_heard`: when any other machine last answered.
    """

    now: float
    patroni_runs: bool
    patroni_heard: float | None
    postmaster: Postmaster
    postmaster_heard: float
    leads: bool | None
    led: bool
    outside_heard: float
    paused: bool = False


@dataclass(frozen=True)
class Verdict:
    do: Do
    reason: str = ""


class Judge:
    """Remembers only when it last looked, and when it was last held up itself."""

    def __init__(self, now: float) -> None:
        self._last = self._awake = now

    def judge(self, look: Look) -> Verdict:
        """Without etcd nobody can be elected: then PostgreSQL is left alone, and only a dead Patroni is started again.
        But if this node hears nobody else at all, the others may have elected one of them."""
        if look.now - self._last > OWN_SLEEP:
            self._awake = look.now
        self._last = look.now
        patroni_silent = 0.0 if look.patroni_heard is None else look.now - max(look.patroni_heard, self._awake)
        postmaster_silent = look.now - max(look.postmaster_heard, self._awake)
        leads = look.leads is True and not look.paused
        if not look.patroni_runs:
            return Verdict(Do.FENCE if leads else Do.RESTART, "Patroni died")
        if leads and look.postmaster is Postmaster.CRASHED:
            return Verdict(Do.FENCE, "the postmaster died")
        if leads and look.postmaster is Postmaster.RUNS and postmaster_silent >= POSTMASTER_SILENCE:
            return Verdict(Do.FENCE, f"the postmaster has not answered for {postmaster_silent:.1f} s")
        if leads and patroni_silent >= PATRONI_SILENCE:
            return Verdict(Do.FENCE, f"Patroni has not answered for {patroni_silent:.1f} s")
        outside_silent = look.now - max(look.outside_heard, self._awake)
        runs = look.postmaster is Postmaster.RUNS
        if look.leads is not False and look.led and runs and not look.paused and outside_silent >= CUT_OFF:
            return Verdict(Do.FENCE, f"neither etcd nor another member has been heard for {outside_silent:.1f} s")
        if not look.paused and look.leads is False and patroni_silent >= STANDBY_SILENCE:
            return Verdict(Do.RESTART, f"Patroni has not answered for {patroni_silent:.0f} s")
        return Verdict(Do.NOTHING)
