"""Taking the turn, and handing it over. Note [One region writes] in the package."""

import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from erip.ops.guard.etcd import EtcdError
from erip.ops.region.configuration import Configuration
from erip.ops.region.ends import ENDED, KILLED, End, left_at
from erip.ops.region.witness import Term, TermError, Witness

#: seconds beyond `hold`: for the question that was under way, and for a keeper that is busy
MARGIN: Final = 3.0
#: seconds within which a promotion shows in the files of this region
SEEN: Final = 10.0


@dataclass(frozen=True, slots=True)
class Turn:
    """fenced: whether all keepers of the other regions said so; otherwise their time was waited out. whole: whether all
    that the other region wrote is here; None: that is not known. In seconds."""

    term: int
    fenced: bool
    whole: bool | None
    waited: float
    promoted: float


def begin(configuration: Configuration) -> Term:
    """The first term of a deployment, for this region. Raises TermError, EtcdError."""
    witness = configuration.open()
    if (there := witness.term()) is not None:
        raise TermError(f"term {there.number} is {there.holder}'s already")
    return witness.take(configuration.region, None, planned=False)


def take(configuration: Configuration, *, planned: bool, report: Callable[[str], None] = print) -> Turn:
    """Make this region the one that writes. planned: the other one ends in good order, and is waited for; nothing is
    promoted if it does not within its time, or was killed. Raises TermError, EtcdError, and OSError if promoting
    fails."""
    witness = configuration.open()
    before = witness.term()
    if before is None:
        raise TermError("no region has ever begun: `begin` makes the first term")
    if before.holder == configuration.region:
        # A take-over that was cut off goes on where it was.
        report(f"term {before.number} is this region's already")
        term = before
    else:
        if planned and (silent := witness.silent(one for one in witness.keepers() if one != configuration.region)):
            raise TermError(
                f"the keepers of {', '.join(silent)} are of a release that does not say how PostgreSQL ended: nothing"
                " was changed. Start them anew with this release first"
            )
        term = witness.take(configuration.region, before, planned=planned)
        report(f"term {term.number} is this region's; waiting for {before.holder} to be fenced")
    others = [region for region in witness.keepers() if region != configuration.region]
    began = time.monotonic()
    fenced = _wait(witness, term, others, configuration.hold + MARGIN)
    waited = time.monotonic() - began
    if planned and not fenced:
        raise TermError(
            "the other region did not say in time that it has ended; it takes no writes any more. `take --planned` "
            "once more waits for it again; without --planned, what it had not sent is lost"
        )
    ends = _ends(witness, term, others, needed=planned) if fenced else {}
    for name, end in ends.items():
        report(f"{name}: {_told(end)}")
    if planned and (why := _not_in_order(ends)):
        raise TermError(f"{why}. Nothing was promoted. `take` without --planned goes on without what was not sent")
    report("fenced" if fenced else f"waited {waited:.1f} s: nobody there can be writing any more")
    _check(witness, term)
    parted = left_at(configuration.data)
    done = subprocess.run(configuration.promote, capture_output=True, text=True, check=False)  # noqa: S603 (the operator's)
    if done.returncode != 0:
        raise OSError(f"promote: {(done.stderr or done.stdout).strip()[-300:]}")
    promoted = time.monotonic() - began
    whole = _whole(configuration, ends, parted)
    report(_WHOLE[whole])
    return Turn(term.number, fenced, whole, round(waited, 2), round(promoted, 2))


_WHOLE: Final[Mapping[bool | None, str]] = {
    True: "all that the other region wrote is here",
    False: "NOT ALL that the other region wrote is here: it had not been sent when that ended. Keep its data",
    None: "whether all that the other region wrote is here is not known",
}


def _told(end: End | None) -> str:
    if end is None:
        return "its keeper does not say how PostgreSQL ended"
    return {ENDED: f"PostgreSQL ended by itself, at {end.place}", KILLED: "PostgreSQL was killed"}.get(
        end.how, "PostgreSQL followed another one"
    )


def _not_in_order(ends: Mapping[str, End | None]) -> str | None:
    """Why a hand-over that was planned may have lost something; None: it has not."""
    for name, end in ends.items():
        if end is None or end.how == KILLED:
            return f"{name}: {_told(end)}"
    return None if any(end and end.how == ENDED for end in ends.values()) else "no PostgreSQL there wrote and ended"


def _whole(configuration: Configuration, ends: Mapping[str, End | None], parted: int | None) -> bool | None:
    """Whether the last that was written there was replayed here, before this region went its own way. parted: where
    PostgreSQL here left a timeline the last time."""
    last = max((end.at for end in ends.values() if end and end.how == ENDED), default=None)
    if last is None or _not_in_order(ends):
        return None
    deadline = time.monotonic() + SEEN
    # Patroni promotes some seconds after it was told to.
    while (left := left_at(configuration.data)) is None or left == parted:
        if time.monotonic() > deadline:
            return None
        time.sleep(0.1)
    return left > last


def _wait(witness: Witness, term: Term, regions: list[str], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if witness.all_fenced(term.number, regions):
                return True
        except EtcdError:
            pass  # what cannot be asked is waited out
        time.sleep(0.1)
    return False


def _ends(witness: Witness, term: Term, regions: list[str], *, needed: bool) -> dict[str, End | None]:
    """Raises EtcdError only where it is needed: a region that is lost is taken over without it."""
    try:
        return witness.ends(term.number, regions)
    except EtcdError:
        if needed:
            raise
        return {}


def _check(witness: Witness, term: Term) -> None:
    """Somebody may have taken the turn meanwhile. Raises TermError, and EtcdError if it cannot be asked."""
    now = witness.term()
    if now is None or (now.number, now.holder) != (term.number, term.holder):
        raise TermError(f"the term is another one by now: {now.number if now else None}")
