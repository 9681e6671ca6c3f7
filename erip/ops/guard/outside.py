"""Whether the leader's node hears anybody outside of itself.

Note [Cut off]. A leader that is cut off the network acknowledges nothing, as no standby confirms it. But it goes on as
a primary, with what was true when it was cut off; and when the network is back before Patroni has given up, there are
two primaries for as long as Patroni takes to see that it was replaced: half of all connections went to the old one for
one to two seconds. Therefore its guard stops it as soon as neither etcd nor any other member has been heard for CUT_OFF
seconds (`judgement`), which is about when the others have elected another. Patroni would reach the same verdict, only
later, as `failsafe_mode` demands that it sees all members. A node that hears one of them is not cut off.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from erip.ops.guard import probes
from erip.ops.guard.cluster import Cluster
from erip.ops.guard.configuration import Address
from erip.ops.guard.etcd import Tls

#: seconds between two rounds
EVERY = 0.5
#: seconds since the last reading of etcd after which the members are asked, and that each may take to answer
ETCD_SILENCE, ANSWER_WITHIN = 1.2, 1.2


class Outside:
    """`heard`: when etcd or another member last answered (monotonic)."""

    def __init__(
        self, name: str, last_reading: Callable[[], tuple[float, Cluster] | None], tls: Tls | None = None
    ) -> None:
        """`last_reading` of etcd, however old: when it was requested, and what it said. tls: for the members."""
        self._name = name
        self._tls = tls
        self._last_reading = last_reading
        self._member_heard = self._began = time.monotonic()
        self._pool = ThreadPoolExecutor(4, "outside")

    @property
    def heard(self) -> float:
        reading = self._last_reading()
        return max(self._member_heard, reading[0] if reading else self._began)

    def round(self) -> float:
        """Ask the members if etcd is silent. Returns the seconds until the next round."""
        reading = self._last_reading()
        if reading is not None and time.monotonic() - reading[0] > ETCD_SILENCE:
            others = [member.rest for name, member in reading[1].members.items() if name != self._name]
            if not others:
                self._member_heard = time.monotonic()
            # The first answer counts at once, whatever the others do.
            list(self._pool.map(self._ask, others))
        return EVERY

    def _ask(self, address: Address) -> None:
        if probes.patroni(address, timeout=ANSWER_WITHIN, tls=self._tls) is probes.Reach.ANSWERS:
            self._member_heard = time.monotonic()
