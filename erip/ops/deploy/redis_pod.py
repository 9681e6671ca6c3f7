"""Makes the files of one Redis and of its Sentinel in Kubernetes, before they start: deploy/k8s/components/redis.

    python -m erip.ops.deploy.redis_pod --data /data --logins /run/secrets/redis --tls /run/tls/redis

The name of the pod is its host name: erip-redis-0 is the first master. Afterwards the files themselves say who is
master, for Redis and Sentinel rewrite them. Everything else is made anew at each start: a changed password counts.
"""

import argparse
import os
import re
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from erip.ops.deploy import redis_users
from erip.ops.deploy.errors import DeployError
from erip.ops.deploy.identity import Identity
from erip.ops.deploy.nodes import Address, RedisNode, SentinelNode
from erip.ops.deploy.redis_users import FLOWER, LEADER, REPLICA, SENTINEL, WEB, WORKER
from erip.ops.deploy.templates import breaks_out

#: the name of the Service, below which each pod has its own: the certificate names each in full
SERVICE: Final = "erip-redis"
#: the name by which the Sentinels know the master: ERIP_SENTINEL_MASTER
MASTER: Final = "erip"
REDIS_PORT: Final = 6379
SENTINEL_PORT: Final = 26379
#: of the pod, whose policies say who gets there
_ALL: Final = "0.0.0.0"  # noqa: S104  # nosec B104 (a pod's only address is its own)
#: of the image
MAJOR: Final = 7
#: logins of Redis, then the operator's; who asks the Sentinels, and the Sentinels among themselves
LOGINS: Final = (WEB, WORKER, LEADER, FLOWER, REPLICA, SENTINEL)
KEYS: Final = (*LOGINS, "default", "asking", "peers")
#: what a Sentinel has learnt and wrote down: who it is, whom it knows, and which election was the last
_LEARNT: Final = re.compile(
    r"^sentinel (?:myid|config-epoch|leader-epoch|current-epoch|known-replica|known-sentinel)\b.*$", re.MULTILINE
)
_FOLLOWS: Final = re.compile(r"^(?:replicaof|slaveof) (\S+) (\d+)$", re.MULTILINE)
_WATCHES: Final = re.compile(rf"^sentinel monitor {MASTER} (\S+) (\d+) \d+$", re.MULTILINE)


def passwords(folder: Path) -> dict[str, str]:
    """The files of the Secret. Raises DeployError with all that are missing or cannot be used."""
    found, faults = {}, []
    for name in KEYS:
        try:
            found[name] = (folder / name).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            faults.append(f"{folder / name}: cannot be read: {type(error).__name__}")
            continue
        if not found[name]:
            faults.append(f"{folder / name}: is empty")
        elif breaks_out(found[name]):
            # Its value belongs in no log.
            faults.append(f"{folder / name}: holds a space, a quote or another character that may not stand in a line")
    if faults:
        raise DeployError(faults)
    return found


def files(
    own: Address,
    first: Address,
    known: Mapping[str, str],
    tls: Identity,
    data: Path,
    sentinel_port: int = SENTINEL_PORT,
) -> dict[str, str]:
    """redis.conf and sentinel.conf by their names, of the pod `own`. first: the master, where no file says another."""
    there = {name: _text(data / name) for name in ("redis.conf", "sentinel.conf")}
    follows, watches = _FOLLOWS.search(there["redis.conf"]), _WATCHES.search(there["sentinel.conf"])
    if there["redis.conf"]:
        master = Address("", follows[1], int(follows[2])) if follows else None
    else:
        master = None if own == first else first
    redis = RedisNode(
        own.name,
        own.host,
        own.port,
        data,
        known["default"],
        master,
        listen=_ALL,
        maxmemory="512mb",
        replica_password=known[REPLICA],
        users=redis_users.lines({name: known[name] for name in LOGINS}, major=MAJOR),
        identity=tls,
    )
    sentinel = SentinelNode(
        own.name,
        own.host,
        sentinel_port,
        data,
        MASTER,
        Address("", watches[1], int(watches[2])) if watches else first,
        known[SENTINEL],
        known["asking"],
        listen=_ALL,
        peer_password=known["peers"],
        users=redis_users.sentinel_lines(known["asking"], known["peers"]),
        identity=tls,
    )
    learnt = _LEARNT.findall(there["sentinel.conf"])
    # Names, for those are in the certificate; addresses of pods change.
    return {
        "redis.conf": redis.render(),
        "sentinel.conf": "\n".join([sentinel.render() + "sentinel announce-hostnames yes", *learnt, ""]),
    }


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 1 with a line for each fault on standard error."""
    parser = argparse.ArgumentParser(prog="erip.ops.deploy.redis_pod", description="Files of Redis and Sentinel.")
    for name, about in (("data", "where they are"), ("logins", "files of passwords"), ("tls", "ca.crt and erip.pem")):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="FOLDER", help=about)
    options = parser.parse_args(arguments)
    name = socket.gethostname()
    own = Address(name, f"{name}.{SERVICE}", REDIS_PORT)
    first = Address(f"{SERVICE}-0", f"{SERVICE}-0.{SERVICE}", REDIS_PORT)
    try:
        tls = Identity(options.tls / "erip.pem", options.tls / "ca.crt")
        made = files(own, first, passwords(options.logins), tls, options.data)
    except DeployError as error:
        print("\n".join(error.faults), file=sys.stderr)
        return 1
    for file, text in made.items():
        new = options.data / f"{file}.new"
        new.touch(mode=0o600)
        new.chmod(0o600)
        new.write_text(text, "utf-8")
        # All of it or nothing: half a file would no longer say who is master.
        os.replace(new, options.data / file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
