"""How failures slow down the next attempt: pure functions, which use no clock and no database.

Note [Slowing logins]
Three things are limited at once: guesses at one account from one address, guesses from one address at whatever
accounts, and guesses from one network. Nothing is ever locked: each failure beyond a free number doubles the seconds
until the next attempt counts, up to a bound, and a counter that was quiet for long enough is forgotten.

A stranger must not be able to keep an owner out. So nothing is slowed by the account alone; guesses at one account from
everywhere (`ACCOUNT`) only take free attempts away from addresses that are new to it, and even those keep one. An owner
is recognised by the cookie or the address of an earlier login. A recognised owner is not affected by what others did
from the same address or network, and waits half a minute at the most.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Limit:
    """How one counter slows attempts down.

    free: failures that cost nothing
    first, most: seconds until the next attempt after the first failure that costs, doubled by each further one; the
    bound
    forget: seconds without an attempt after which the failures are forgotten
    """

    free: int
    first: float
    most: float
    forget: float

    def pause(self, failures: int) -> float:
        """Seconds from this failure until the next attempt."""
        if failures < self.free:
            return 0.0
        # Bounded first: 2 to the power of a million is no float.
        return min(self.most, self.first * 2.0 ** min(failures - self.free, 30))


#: one account from one address
PAIR = Limit(free=5, first=60, most=3_600, forget=86_400)
#: the same while the account is guessed at from many addresses
PAIR_UNDER_ATTACK = Limit(free=1, first=60, most=3_600, forget=86_400)
#: one account from an address that it was signed in from, or from a browser that it was signed in with
RECOGNISED = Limit(free=10, first=1, most=30, forget=3_600)
#: one address, at any accounts; an IPv6 site (/64) counts as one address
ADDRESS = Limit(free=20, first=2, most=900, forget=21_600)
#: a network of IPv4 (/24) or IPv6 (/48)
NETWORK = Limit(free=100, first=1, most=60, forget=3_600)
#: once an account has this many failures from addresses new to it, it counts as under attack. Slows nothing.
ACCOUNT = Limit(free=50, first=0, most=0, forget=3_600)


@dataclass(frozen=True, slots=True)
class Counter:
    """failures: so far; at: the last attempt; free_at: when the next one counts. Times with a zone."""

    failures: int
    at: datetime
    free_at: datetime


def lasting(counter: Counter, limit: Limit, now: datetime) -> Counter:
    """The counter as it is now, without forgotten failures."""
    if now - counter.at >= timedelta(seconds=limit.forget):
        return Counter(0, now, now)
    return counter


def wait(counters: Mapping[str, Counter], now: datetime) -> float:
    """Seconds until all of these counters let an attempt through; 0: now."""
    return max((max(0.0, (each.free_at - now).total_seconds()) for each in counters.values()), default=0.0)


def counted(counter: Counter, limit: Limit, now: datetime) -> Counter:
    """After one more attempt, which counts as a failure until it is known to be none."""
    failures = counter.failures + 1
    return Counter(failures, now, now + timedelta(seconds=limit.pause(failures)))
