"""Lets a new, empty etcd take the place of a member that was lost, on the machine of one that is left.

    python -m erip.ops.guard.replace /etc/erip/keeper.toml etcd-1 https://10.0.0.11:2380

etcd knows its members by what they hold: one that lost its data is a stranger, and is refused. So the old member is
removed, and a new one is added under the same name and address; it then starts with `initial-cluster-state: existing`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from erip.ops.guard.etcd import Etcd, EtcdError
from erip.ops.guard.keeper import BadKeeper, read


class Refused(Exception):
    """The members are not such that this one may be replaced; the message says why."""


def replace(etcd: Etcd, name: str, peer: str) -> int:
    """The id of the new member. Raises Refused, and EtcdError for what etcd refuses: it counts who would be left.

    peer: the address for other members, as in `initial-advertise-peer-urls`.
    """
    members = etcd.members()
    mine = int(etcd.status()["header"]["member_id"])
    # A member that was added and has not started yet has no name.
    known = [one for one in members if one.name == name or peer in one.peers]
    if not known and len(members) % 2 == 0:
        # This was tried before, and interrupted after the old one was removed.
        return etcd.add_member(peer)
    if len(known) != 1:
        said = ", ".join(map(str, members))
        raise Refused(f"{len(known)} members have the name {name} or the address {peer}: {said}")
    (lost,) = known
    if lost.id == mine:
        raise Refused(f"{name} is the member of this machine, and it works: ask on the machine of another one")
    if lost.peers != (peer,):
        raise Refused(f"{name} has the address {', '.join(lost.peers)}, not {peer}")
    etcd.remove_member(lost.id)
    return etcd.add_member(peer)


def main(arguments: Sequence[str] | None = None) -> int:
    """1 when etcd, or what its members are, does not allow it; 2 for a bad configuration."""
    parser = argparse.ArgumentParser(prog="erip.ops.guard.replace", description="Replaces a member of etcd.")
    parser.add_argument("configuration", type=Path, help="of the keeper of this machine")
    parser.add_argument("name", help="of the member that was lost, as in the inventory")
    parser.add_argument("peer", help="its address for other members: https://HOST:2380")
    options = parser.parse_args(arguments)
    try:
        new = replace(read(options.configuration).client(timeout=10.0), options.name, options.peer)
    except BadKeeper as error:
        print(f"erip.ops.guard.replace: {error}", file=sys.stderr)
        return 2
    except (Refused, EtcdError) as error:
        print(f"erip.ops.guard.replace: {error}", file=sys.stderr)
        return 1
    print(f"{options.name} is now member {new:x}: start it with initial-cluster-state: existing, and an empty data-dir")
    return 0


if __name__ == "__main__":
    sys.exit(main())
