"""The programs of the highly available layout. HAProxy and etcd come from the machine alone: no wheel has them."""

import sys
from dataclasses import dataclass
from pathlib import Path

from erip.ops.stack.binaries import Binary, find_postgres, find_redis, find_system
from erip.ops.stack.errors import MissingServer, StackError
from erip.ops.stack.privileges import User, can_run_platform


@dataclass(frozen=True)
class Programs:
    """All that were found."""

    redis: Binary
    postgres: Binary
    etcd: Binary
    haproxy: Binary

    @classmethod
    def find(cls, wheels: Path, user: User | None) -> "Programs":
        """Raises MissingServer, with the command that installs what is missing."""
        haproxy, etcd = find_system("haproxy", user), find_system("etcd", user)
        if haproxy is None or etcd is None:
            missing = " and ".join(name for name, found in (("HAProxy", haproxy), ("etcd", etcd)) if not found)
            raise MissingServer(f"This machine has no {missing}, which a highly available stack needs: make ha-deps")
        if user and not can_run_platform(user):
            raise StackError(
                f"Patroni may not run as root, and {user.name} cannot run {sys.executable} in this checkout: "
                "use a clone and a Python outside /root, or name another user in ERIP_STACK_USER."
            )
        return cls(find_redis(wheels, user, tls=True), find_postgres(wheels, user), etcd, haproxy)
