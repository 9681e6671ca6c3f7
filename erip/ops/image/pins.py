"""Which of the pins are in the image: those that the platform's own requirements lead to.

    python3 -I pins.py requirements.in requirements.txt     prints them, as pip reads them

`requirements.in` names what runs first; from the comment `# servers …` on, what an image does not need. Whose
requirement a pin is stands in the comments `# via` of `requirements.txt`. The standard library alone: the image's build
runs this file by itself.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

#: the line of requirements.in from which on nothing is for the image
END: Final = "# servers of the highly available stack"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_VIA: Final = re.compile(r"\s+#\s+(?:via\b)?\s*(.*)")


class Pin(NamedTuple):
    """What is pinned under one name: its lines (several versions, where Pythons need different ones), and the names of
    those that ask for it."""

    lines: tuple[str, ...]
    via: frozenset[str]


def normal(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def roots(wanted: str) -> frozenset[str]:
    """The names in requirements.in that are for the image. Raises ValueError if nothing says where they end."""
    if f"\n{END}" not in wanted:
        raise ValueError(f"requirements.in has no line {END!r}")
    lines = wanted.partition(f"\n{END}")[0].splitlines()
    return frozenset(normal(found[0]) for line in lines if (found := _NAME.match(line)))


def read(pinned: str) -> dict[str, Pin]:
    """The pins of requirements.txt by name. Raises ValueError for a line before the first pin."""
    blocks: list[list[str]] = []
    for line in pinned.splitlines():
        if _NAME.match(line):
            blocks.append([line])
        elif line.strip() and not line.startswith("#"):
            if not blocks:
                raise ValueError(f"requirements.txt: not part of a pin: {line[:60]!r}")
            blocks[-1].append(line)
    found: dict[str, Pin] = {}
    for block in blocks:
        said = [via[1] for line in block if (via := _VIA.fullmatch(line)) and via[1]]
        name = _NAME.match(block[0])
        assert name is not None
        asked = frozenset(normal(one[0]) for each in said if (one := _NAME.match(each)))
        lines = tuple(line for line in block if not _VIA.fullmatch(line))
        before = found.get(normal(name[0]), Pin((), frozenset()))
        found[normal(name[0])] = Pin(before.lines + lines, before.via | asked)
    return found


def runtime(pins: Mapping[str, Pin], wanted: frozenset[str]) -> list[str]:
    """The names of the pins that `wanted` lead to, sorted. Raises ValueError if one of them is not pinned."""
    if missing := sorted(wanted - pins.keys()):
        raise ValueError(f"requirements.txt does not pin {', '.join(missing)}: run `make requirements`")
    found = set(wanted)
    while more := {name for name, pin in pins.items() if name not in found and pin.via & found}:
        found |= more
    return sorted(found)


def main() -> int:
    wanted, pinned = (Path(one).read_text("utf-8") for one in sys.argv[1:3])
    pins = read(pinned)
    for name in runtime(pins, roots(wanted)):
        print("\n".join(pins[name].lines).rstrip(" \\"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
