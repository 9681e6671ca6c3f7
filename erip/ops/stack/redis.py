"""One private Redis or Valkey: the broker of a local stack.

Loopback only, with a password, which stands in a configuration file of mode 0600 and not on the command line.
"""

import hashlib
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis as Client
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.retry import Retry

from erip.ops.stack.binaries import Binary
from erip.ops.stack.errors import ServerFailed
from erip.ops.stack.ports import LOOPBACK
from erip.ops.stack.privileges import User
from erip.ops.stack.processes import last_line
from erip.ops.stack.state import write_private

#: Flower's login to Redis, and what it may do: receive events on a queue of its own, and read the length of the lanes.
#: It can neither send a task nor take one out.
FLOWER = "flower"
FLOWER_RULES = (
    "resetchannels &/0.celeryev/* "
    "~celeryev.* ~_kombu.binding.celeryev ~_kombu.binding_permanent.celeryev ~_kombu.binding_deadlines "
    "-@all +ping +hello +auth +client|setname +select +multi +exec +discard +psubscribe +punsubscribe +subscribe "
    "+unsubscribe +time +sadd +srem +smembers +brpop +llen +del +exists +pexpire +zadd "
    # kombu keeps the expiry of its queue by a script, which may do no more than its caller.
    "+eval +evalsha +script|load +script|exists"
)
#: of Redis 7 and newer: keys that may be read and not written
READ_LANES = "%R~critical* %R~high* %R~standard* %R~bulk*"

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
    #: Flower's own, if it is to have a login
    flower_password: str = field(default="", repr=False)

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
        """What goes into ERIP_BROKER_URL."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    @property
    def flower_url(self) -> str:
        """What Flower alone gets: a user that may only look."""
        return f"redis://{FLOWER}:{self.flower_password}@{LOOPBACK}:{self.port}/0"

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
                host=LOOPBACK, port=self.port, password=self.password, data=self.data, users=self._users()
            ),
        )
        if self.user:
            for path in (self.data, configuration):
                os.chown(path, self.user.uid, self.user.gid)

    def _users(self) -> str:
        if not self.flower_password:
            return ""
        digest = hashlib.sha256(self.flower_password.encode()).hexdigest()
        lanes = f" {READ_LANES}" if self.binary.major >= 7 else ""
        return f"user {FLOWER} on #{digest} {FLOWER_RULES}{lanes}\n"

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
