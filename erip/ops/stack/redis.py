"""One private Redis or Valkey: the broker of a local stack.

Loopback only, with a password, which stands in a configuration file of mode 0600 and not on the command line.
"""

import erip.foundation.redis_alone  # noqa: F401  (first: it says why)

# isort: split
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from redis.backoff import NoBackoff

# Not from the package, whose `__init__` loads clients for clusters and Sentinels.
from redis.client import Redis as Client
from redis.exceptions import AuthenticationError, RedisError
from redis.retry import Retry

from erip.ops.deploy import redis_users
from erip.ops.stack.binaries import Binary
from erip.ops.stack.errors import ServerFailed
from erip.ops.stack.ports import LOOPBACK
from erip.ops.stack.privileges import User
from erip.ops.stack.processes import last_line
from erip.ops.stack.state import write_private

CONFIGURATION = """\
bind {host}
port {port}
protected-mode yes
requirepass {password}
dir {data}
daemonize no
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
{users}"""


@dataclass
class Redis:
    """A server whose data stands in `home`/redis-<kind>-<major> and whose log is `log`."""

    binary: Binary
    home: Path
    port: int
    password: str = field(repr=False)
    log: Path
    user: User | None = None
    #: passwords of logins for one kind of process each, by their names in `redis_users`
    logins: Mapping[str, str] = field(default_factory=dict, repr=False)

    name = "redis"
    stop_signal = signal.SIGTERM
    stop_patience = 10.0

    @property
    def title(self) -> str:
        return self.binary.title

    @property
    def data(self) -> Path:
        # A folder for each kind: an older server cannot read what a newer one appended, and nothing in here is
        # needed for long (PostgreSQL is the truth).
        return self.home / f"redis-{self.binary.kind}-{self.binary.major}"

    @property
    def url(self) -> str:
        """The operator's, who may do everything."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    def url_of(self, login: str) -> str:
        """The same for one of `logins`."""
        return f"redis://{login}:{self.logins[login]}@{LOOPBACK}:{self.port}/0"

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}

    @property
    def command(self) -> list[str]:
        return [str(self.binary.path), str(self.data / "server.conf")]

    def prepare(self) -> None:
        """Write the configuration, with the port and the password of now."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        configuration = self.data / "server.conf"
        write_private(
            configuration,
            CONFIGURATION.format(
                host=LOOPBACK,
                port=self.port,
                password=self.password,
                data=self.data,
                users=redis_users.lines(self.logins, major=self.binary.major),
            ),
        )
        if self.user:
            for path in (self.data, configuration):
                os.chown(path, self.user.uid, self.user.gid)

    def ready(self) -> bool:
        """Whether the server answers to the password."""
        client = Client(
            host=LOOPBACK,
            port=self.port,
            password=self.password,
            socket_connect_timeout=1,
            socket_timeout=1,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            return bool(client.ping())
        except AuthenticationError:
            raise ServerFailed(
                f"Another Redis answers on port {self.port}: free that port, or set ERIP_REDIS_PORT."
            ) from None
        except RedisError:
            return False
        finally:
            client.close()

    def why(self) -> str:
        """The reason of a failed start, from the end of the log."""
        return last_line(self.log)
