"""What was seen: told as it comes, kept for a file, and held against what must be."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Seen:
    """lines: as they were told. figures: by name. missed: what must be, and was not."""

    lines: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def say(self, line: str) -> None:
        self.lines.append(line)
        print(f"[{time.monotonic() - self.began:6.1f} s] {line}", flush=True)

    def keep(self, name: str, value: Any, line: str) -> None:
        self.figures[name] = round(value, 3) if isinstance(value, float) else value
        self.say(line)

    def must(self, what: str, holds: bool) -> None:
        if not holds:
            self.missed.append(what)
            self.say(f"MISSED: {what}")

    @contextmanager
    def timed(self, what: str, count: int = 0) -> Iterator[None]:
        """count: of what was done, for a rate."""
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        rate = f", {count / took:,.0f}/s" if count else ""
        self.keep(what, took, f"{what}: {took:.1f} s{rate}")
