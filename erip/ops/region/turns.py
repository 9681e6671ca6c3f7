"""Taking the turn, and handing it over. Note [One region writes] in the package."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from erip.ops.guard.etcd import EtcdError
from erip.ops.region.configuration import Configuration
from erip.ops.region.witness import Term, TermError, Witness

#: seconds beyond `hold`: for the question that was under way, and for a keeper that is busy
MARGIN: Final = 3.0


@dataclass(frozen=True, slots=True)
class Turn:
    """fenced: whether all keepers of the other regions said so; otherwise their time was waited out. In seconds."""

    term: int
    fenced: bool
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
    promoted if it does not within its time. Raises TermError, EtcdError, and OSError if promoting fails."""
    witness = configuration.open()
    before = witness.term()
    if before is None:
        raise TermError("no region has ever begun: `begin` makes the first term")
    if before.holder == configuration.region:
        # A take-over that was cut off goes on where it was.
        report(f"term {before.number} is this region's already")
        term = before
    else:
        term = witness.take(configuration.region, before, planned=planned)
        report(f"term {term.number} is this region's; waiting for {before.holder} to be fenced")
    others = [region for region in witness.keepers() if region != configuration.region]
    began = time.monotonic()
    fenced = _wait(witness, term, others, configuration.hold + MARGIN)
    waited = time.monotonic() - began
    if planned and not fenced:
        raise TermError(
            "the other region did not end in good order in time; it takes no writes any more. Take the turn without "
            "--planned: what it had not sent is lost"
        )
    report("fenced" if fenced else f"waited {waited:.1f} s: nobody there can be writing any more")
    _check(witness, term)
    done = subprocess.run(configuration.promote, capture_output=True, text=True, check=False)  # noqa: S603 (the operator's)
    if done.returncode != 0:
        raise OSError(f"promote: {(done.stderr or done.stdout).strip()[-300:]}")
    return Turn(term.number, fenced, round(waited, 2), round(time.monotonic() - began, 2))


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


def _check(witness: Witness, term: Term) -> None:
    """Somebody may have taken the turn meanwhile. Raises TermError, and EtcdError if it cannot be asked."""
    now = witness.term()
    if now is None or (now.number, now.holder) != (term.number, term.holder):
        raise TermError(f"the term is another one by now: {now.number if now else None}")
