"""The controls of the frameworks, and what the platform does about them: the files of this package, read."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Mechanism:
    """Something that the platform does.

    does: in one or two sentences. page: of the documentation. checks: which show that it holds. evidence: files of the
    evidence pack that show it.
    """

    name: str
    does: str
    page: str
    checks: tuple[str, ...]
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Control:
    """A control of a framework. about: what it is about, in our words. by: mechanisms that serve it. gap: what the
    platform does not do about it; "" if nothing is known to be missing."""

    framework: str
    id: str
    about: str
    by: tuple[str, ...]
    gap: str


@dataclass(frozen=True, slots=True)
class Framework:
    """name: as in addresses. source: where the framework itself is published. note: what the list covers."""

    name: str
    title: str
    source: str
    note: str
    controls: tuple[Control, ...]


@cache
def mechanisms() -> Mapping[str, Mechanism]:
    """By name."""
    return {
        name: Mechanism(
            name,
            " ".join(told["does"].split()),
            told["page"],
            tuple(told.get("checks", ())),
            tuple(told.get("evidence", ())),
        )
        for name, told in _read(_HERE / "mechanisms.yaml").items()
    }


@cache
def frameworks() -> Mapping[str, Framework]:
    """By name."""
    return {path.stem: _framework(path.stem, _read(path)) for path in sorted((_HERE / "frameworks").glob("*.yaml"))}


def _framework(name: str, told: Mapping[str, Any]) -> Framework:
    controls = tuple(
        Control(name, str(id_), one["about"], tuple(one.get("by", ())), one.get("gap", ""))
        for id_, one in told["controls"].items()
    )
    return Framework(name, told["title"], told["source"], " ".join(told["note"].split()), controls)


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return found
