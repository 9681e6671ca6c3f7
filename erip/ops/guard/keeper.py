"""The keeper of one etcd: sees to its logins and its room, through the Unix socket that nobody outside can reach.

    python -m erip.ops.guard.keeper /etc/erip/keeper.toml

Note [Full]. A store that has reached its quota raises an alarm, and from then on no member takes a write: no leader can
be elected, so the first failover after it never ends. In the release of Debian 12 (3.4.23) the alarm also switches
etcd's authorization off. So the keeper asks its member each second (`status` is answered from memory). When an alarm is
raised, or three quarters of the quota are used, it

1. forgets the history of all keys (compaction): what Patroni needs is what its keys say now;
2. gives the room back (defragmentation), on its own member alone: each member has its own keeper;
3. when even that is not enough, deletes keys that are neither Patroni's nor the guard's, as this store is for nothing
   else; each is named in the log;
4. takes the alarms back.
"""

import argparse
import logging
import re
import sys
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from erip.foundation.os_errors import in_words
from erip.ops.guard.etcd import Etcd, EtcdError

log = logging.getLogger(__name__)

#: seconds between two looks, and between two clean-ups that no alarm asked for
EVERY: Final = 1.0
TIDY_AGAIN: Final = 60.0
#: of the quota: above the first the keeper tidies up in time, above the second keys that are not ours must go
TIDY_AT, CROWDED_AT = 0.75, 0.5
#: what Patroni keeps below its prefix (`patroni.dcs.AbstractDCS`), for each Citus group too
_PATRONIS = re.compile(
    r"(\d+/)?(config|failover|failsafe|history|initialize|leader|optime/leader|status|sync|members/[^/]+)"
)


class BadKeeper(Exception):
    """The configuration lacks something; the message names it."""


@dataclass(frozen=True)
class Configuration:
    """One etcd member, and what it must contain."""

    socket: Path
    scope: str
    quota_bytes: int
    root_password: str = field(repr=False)
    patroni_password: str = field(repr=False)

    @property
    def prefix(self) -> str:
        return f"/service/{self.scope}/"

    @property
    def prefixes(self) -> tuple[str, str]:
        """Patroni's, and the guard's."""
        return self.prefix, f"/guard{self.prefix}"

    def client(self, *, timeout: float = 1.0) -> Etcd:
        """Root's, on this member."""
        return Etcd([self.socket], "root", self.root_password, timeout=timeout)


def read(file: Path) -> Configuration:
    """Raises BadKeeper."""
    try:
        found = tomllib.loads(file.read_text())
        return Configuration(
            socket=Path(found["socket"]),
            scope=str(found["scope"]),
            quota_bytes=int(found["quota_bytes"]),
            root_password=str(found["root_password"]),
            patroni_password=str(found["patroni_password"]),
        )
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadKeeper(in_words(error, file)) from error
    except (KeyError, TypeError, ValueError) as error:
        raise BadKeeper(f"{file}: missing or malformed: {error}") from error


def require_login(configuration: Configuration, etcd: Etcd) -> bool:
    """Require a password for every access, and let Patroni reach its own keys only. True when that is so."""
    return etcd.require_login({"patroni": (configuration.patroni_password, configuration.prefixes)})


class Keeper:
    """The keeper of one member."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._etcd = configuration.client()
        self._secured = False
        self._tidied_at = float("-inf")

    def round(self) -> None:
        """Look, and do what is due. Raises EtcdError."""
        status = self._etcd.status()
        if not self._secured:
            self._secured = require_login(self._configuration, self._etcd)
        used = int(status.get("dbSize", 0)) / self._configuration.quota_bytes
        alarmed = any("NOSPACE" in str(one) for one in status.get("errors", []))
        if alarmed:
            log.warning("the store is full (%.0f %% of its quota): no leader can be elected", 100 * used)
        if alarmed or (used >= TIDY_AT and time.monotonic() - self._tidied_at > TIDY_AGAIN):
            self._tidy()
        if alarmed:
            self._disarm()

    def _tidy(self) -> None:
        self._tidied_at = time.monotonic()
        self._make_room()
        if self._used() >= CROWDED_AT and self._remove_strangers():
            self._make_room()
        log.warning("made room: %.0f %% of the quota are used", 100 * self._used())

    def _make_room(self) -> None:
        revision = int(self._etcd.status()["header"]["revision"])
        try:
            self._etcd.compact(revision)
        except EtcdError as error:
            # Another keeper was there first.
            if "compacted" not in str(error):
                raise
        self._etcd.defragment()

    def _used(self) -> float:
        return int(self._etcd.status().get("dbSize", 0)) / self._configuration.quota_bytes

    def _remove_strangers(self) -> bool:
        """Delete what is neither Patroni's nor the guard's; returns whether there was any."""
        strangers = [key for key in self._etcd.names() if not is_ours(key, self._configuration)]
        for key in strangers:
            self._etcd.delete(key)
        if strangers:
            log.warning(
                "deleted %d keys that are neither Patroni's nor the guard's: %r …", len(strangers), strangers[0]
            )
        return bool(strangers)

    def _disarm(self) -> None:
        for member in self._etcd.full():
            self._etcd.disarm(member)
        log.warning("the alarm is taken back")


def is_ours(key: str, configuration: Configuration) -> bool:
    """Whether Patroni or a guard of this cluster keeps a key of that name."""
    patroni, guard = configuration.prefixes
    return key.startswith(guard) or (
        key.startswith(patroni) and _PATRONIS.fullmatch(key.removeprefix(patroni)) is not None
    )


def main() -> int:
    """Runs until a signal ends it; returns 2 when the configuration is invalid."""
    parser = argparse.ArgumentParser(prog="erip.ops.guard.keeper", description="Sees to one etcd's logins and room.")
    parser.add_argument("configuration", type=Path)
    file = parser.parse_args().configuration
    logging.basicConfig(format="%(asctime)s %(levelname)s: keeper: %(message)s", level=logging.INFO)
    try:
        keeper = Keeper(read(file))
    except BadKeeper as error:
        print(f"erip.ops.guard.keeper: {error}", file=sys.stderr)
        return 2
    silent = False
    while True:
        try:
            keeper.round()
            silent = False
        except EtcdError as error:
            # Once: a member that is away is away for a while.
            if not silent:
                log.warning("etcd: %s", error)
            silent = True
        time.sleep(EVERY)


if __name__ == "__main__":
    sys.exit(main())
