"""A keeper's and a command's configuration, in TOML; deploy/region/region.example.toml is one."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from erip.foundation.os_errors import in_words
from erip.ops.guard.etcd import Endpoint, Etcd, Tls
from erip.ops.region.witness import Witness


class BadRegion(Exception):
    """The configuration lacks something; the message names every fault."""


@dataclass(frozen=True)
class Configuration:
    """name: of the deployment. region, node: where this is. data: PostgreSQL's. hold: seconds that a "yours" is good
    for, the same everywhere. promote: the words of the command that makes this region's PostgreSQL a primary."""

    name: str
    region: str
    node: str
    data: Path
    hold: float
    promote: tuple[str, ...]
    witness: tuple[Endpoint, ...]
    user: str = ""
    password: str = field(default="", repr=False)
    tls: Tls | None = None

    def open(self) -> Witness:
        etcd = Etcd(self.witness, self.user, self.password, tls=self.tls, timeout=min(1.0, self.hold / 4))
        return Witness(etcd, self.name)


def read(file: Path) -> Configuration:
    """Raises BadRegion."""
    try:
        found = tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadRegion(in_words(error, file)) from error
    faults: list[str] = []

    def text(name: str, *, where: dict[str, Any] = found, required: bool = True) -> str:
        value = where.get(name, "")
        if (
            not isinstance(value, str)
            or (required and not value)
            or ("/" in value and name in ("name", "region", "node"))
        ):
            faults.append(
                f"{name}: a text without a slash" if name in ("name", "region", "node") else f"{name}: a text"
            )
            return ""
        return value

    hold = found.get("hold_seconds", 10)
    if not isinstance(hold, int | float) or isinstance(hold, bool) or not 1 <= hold <= 300:
        faults.append("hold_seconds: a number from 1 to 300")
        hold = 10
    endpoints: list[Endpoint] = []
    for one in found.get("witness", []) or [""]:
        host, colon, port = str(one).rpartition(":")
        if not (colon and host and port.isdigit() and 0 < int(port) < 65_536):
            faults.append(f"witness: {one!r} is no host:port")
        else:
            endpoints.append((host, int(port)))
    promote = found.get("promote", [])
    if not isinstance(promote, list) or not promote or not all(isinstance(one, str) and one for one in promote):
        faults.append("promote: the words of a command")
        promote = []
    tls = found.get("tls")
    files = [Path(text(name, where=tls)) for name in ("ca", "certificate", "key")] if isinstance(tls, dict) else []
    data = Path(text("data"))
    if not data.is_absolute():
        faults.append("data: an absolute path")
    made = Configuration(
        name=text("name"), region=text("region"), node=text("node"), data=data, hold=float(hold),
        promote=tuple(promote), witness=tuple(endpoints), user=text("user", required=False),
        password=text("password", required=False), tls=Tls(*files) if files else None,
    )  # fmt: skip
    if faults:
        raise BadRegion(f"{file}: " + "; ".join(faults))
    return made
