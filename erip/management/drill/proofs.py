"""What a drill says of each thing that it looks at."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import structlog

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Proof:
    """ok: None where it could not be looked at, which is no yes. says: one sentence, without data of users."""

    name: str
    ok: bool | None
    says: str
    facts: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def told(self) -> dict[str, Any]:
        return {
            "name": self.name, "ok": self.ok, "says": self.says, **self.facts, "seconds": round(self.seconds, 2)
        }  # fmt: skip


def prove(name: str, look: Callable[[], Proof]) -> Proof:
    """What `look` says, and how long it took. Never raises: what could not be looked at is unknown."""
    began = monotonic()
    try:
        found = look()
    except Exception as error:
        log.warning("drill_proof_failed", proof=name, error=error)
        found = Proof(name, None, f"It could not be looked at: {type(error).__name__}.")
    return Proof(found.name, found.ok, found.says, found.facts, monotonic() - began)
