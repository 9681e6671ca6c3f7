"""Whether a flag is on, from what the release and an operator say of it. Plain Python."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256

#: parts into which all keys of a flag are shared out: a tenth of a percent each
_PARTS = 1000
SPACE = "space:"


@dataclass(frozen=True, slots=True)
class Said:
    """What an operator says of a flag. everyone, percent: None if they say nothing. on_for, off_for: `user:ada`,
    `space:breach` and the like."""

    everyone: bool | None = None
    percent: Decimal | None = None
    on_for: frozenset[str] = frozenset()
    off_for: frozenset[str] = frozenset()


def decide(
    name: str, default: bool, said: Said, about: Sequence[str], space: Callable[[], str] | None = None
) -> tuple[bool, str]:
    """Whether the flag is on, and why.

    The first that says something decides: everyone, off_for, on_for, percent, and what the release says.
    default: what the release says. about: what it is asked about, such as `user:ada`; a share counts the first of them.
    space: finds the space that it is asked about; it is called if the flag names a space.
    """
    if said.everyone is not None:
        return said.everyone, "for everyone"
    asked = set(about)
    if space is not None and any(one.startswith(SPACE) for one in said.on_for | said.off_for):
        asked.add(f"{SPACE}{space()}")
    for on, named in ((False, said.off_for), (True, said.on_for)):
        if found := sorted(asked & named):
            return on, f"for {found[0]}"
    if said.percent is not None:
        # Nobody is known to be in a share without a key.
        if not about:
            return False, f"in {said.percent} %, which needs to know for whom"
        return part(name, about[0]) < said.percent * 10, f"in {said.percent} %"
    return default, "as the release has it"


def part(name: str, key: str) -> int:
    """The part, 0 to 999, of the flag's keys to which this one belongs: the same in every process, for good. A larger
    share keeps all that were in a smaller one. Another flag has others in it."""
    return int.from_bytes(sha256(f"{name}\0{key}".encode()).digest()[:8], "big") % _PARTS
