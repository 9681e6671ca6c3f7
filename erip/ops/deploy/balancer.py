"""What HAProxy does: which servers it balances over, by which rule, within which limits.

ERIP_LB_BALANCE      leastconn (default), roundrobin, or source: one client address, one web process
ERIP_LB_WEIGHTS      web-1=2,web-2=1 (default: 100 each)
ERIP_LB_CERTIFICATE  a PEM file with certificate and key: TLS 1.3 on the web port; `none`: it is in the clear
ERIP_LB_REDIRECT_PORT  a plain port that only sends browsers to the web port (0: there is none)
ERIP_LB_CONCURRENCY  requests that one web server works on at once (16: 8 for each process); the others wait in HAProxy
ERIP_LB_QUEUE, ERIP_LB_QUEUE_SECONDS
                     how many requests may wait (5,000), and for how many seconds (1): Note [Overload] in haproxy.cfg
ERIP_LB_LARGE, ERIP_LB_FILES
                     requests with a large body (64), and requests for public files (200), at one web server at once
ERIP_LB_MAXCONN, ERIP_LB_MAXCONN_ALL
                     streams and waiting callers of one web process (2,000); connections from all clients (20,000)
ERIP_LB_PER_ADDRESS  connections from one client address (1,000)
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from erip.ops.deploy.errors import DeployError
from erip.ops.deploy.identity import Identity, files_of
from erip.ops.deploy.nodes import Address, PostgresPeer
from erip.ops.deploy.switch import WEIGHT, set_of
from erip.ops.deploy.templates import render

#: requests that one web process works on at once: Note [Overload] in haproxy.cfg
PER_PROCESS = 8
#: ERIP_LB_CERTIFICATE for a web port in the clear
NO_CERTIFICATE = "none"
RULES = ("leastconn", "roundrobin", "source")


@dataclass(frozen=True)
class Rules:
    """How requests are spread. Raises DeployError, with every fault, when made from bad values."""

    balance: str = "leastconn"
    #: by the name of the web process; 1 to 256
    weights: tuple[tuple[str, int], ...] = ()
    #: of the users' ports; empty: they are in the clear
    certificate: str = ""
    #: sends browsers to the web port, where that has a certificate; 0: there is none
    redirect_port: int = 0
    #: requests at work in one web server; those that only wait there (streams, `Prefer: wait`) count against `maxconn`
    concurrency: int = 2 * PER_PROCESS
    queue: int = 5000
    queue_seconds: int = 1
    maxconn: int = 2000
    maxconn_all: int = 20_000
    #: connections of one client address
    per_address: int = 1000
    #: at one web server: large bodies, and files that go out at the client's own pace (Note [Slots] in haproxy.cfg)
    large: int = 64
    files: int = 200
    database_maxconn: int = 1000
    #: how long a request or its answer may stand still; longer than any wait that the API offers
    timeout_seconds: int = 65
    drain_seconds: int = 30
    threads: int = 1
    log_requests: bool = False
    #: the Host of health checks, which must be one of ERIP_ALLOWED_HOSTS
    check_host: str = "localhost"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], **defaults: object) -> "Rules":
        """Reads ERIP_LB_…; `defaults` are the caller's own."""
        faults: list[str] = []
        found: dict[str, object] = dict(defaults)
        for name in ("balance", "certificate"):
            if value := environment.get(f"ERIP_LB_{name.upper()}"):
                found[name] = value
        if found.get("certificate") == NO_CERTIFICATE:
            found["certificate"] = ""
        if text := environment.get("ERIP_LB_REDIRECT_PORT"):
            if text.isdigit() and int(text) < 65536:
                found["redirect_port"] = int(text)
            else:
                faults.append(f"ERIP_LB_REDIRECT_PORT: {text!r} is not a port")
        for name in (
            "concurrency",
            "queue",
            "queue_seconds",
            "maxconn",
            "maxconn_all",
            "per_address",
            "large",
            "files",
        ):
            if value := environment.get(variable := f"ERIP_LB_{name.upper()}"):
                if value.isdigit() and int(value) > 0:
                    found[name] = int(value)
                else:
                    faults.append(f"{variable}: {value!r} is not a whole number above 0")
        if text := environment.get("ERIP_LB_WEIGHTS"):
            found["weights"] = tuple(_weights(text, faults))
        if found.get("balance", "leastconn") not in RULES:
            faults.append(f"ERIP_LB_BALANCE: {found['balance']!r} is none of {', '.join(RULES)}")
        if faults:
            raise DeployError(faults)
        return replace(cls(), **found)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Balancer:
    """One HAProxy: its ports, and the servers behind them."""

    web: Sequence[Address]
    postgres: Sequence[PostgresPeer]
    web_port: int
    rw_port: int
    ro_port: int
    rules: Rules = Rules()
    listen: str = "127.0.0.1"
    #: with which it asks Patroni over TLS who leads; None: in the clear
    checks: Identity | None = None
    #: with which it speaks to the web processes over TLS; None: in the clear
    backends: Identity | None = None
    #: the set of web servers that is sent requests (Note [Sets of web servers] in `switch`); empty: all are
    active: str = ""
    #: the path of a socket that takes commands, for its own user alone; empty: it has none
    admin: str = ""
    #: the path of its stats socket, which answers questions and takes no commands; empty: it has none
    stats: str = ""

    def render(self) -> str:
        weights = dict(self.rules.weights)
        unknown = sorted(weights.keys() - {one.name for one in self.web})
        if unknown:
            raise DeployError([f"ERIP_LB_WEIGHTS: there is no web process called {name}" for name in unknown])
        if self.active and self.active not in (sets := sorted({set_of(one.name) for one in self.web})):
            raise DeployError([f"balancer.active: there is no set {self.active}; there is {', '.join(sets)}"])
        return render(
            "haproxy/haproxy.cfg",
            {
                **asdict(self.rules),
                "web": [{**asdict(one), "weight": self._weight(one, weights)} for one in self.web],
                "postgres": [asdict(one) for one in self.postgres],
                "web_port": self.web_port,
                "rw_port": self.rw_port,
                "ro_port": self.ro_port,
                "listen": self.listen,
                "redirect_port": self.rules.redirect_port or "",
                "shown_port": "" if self.web_port == 443 else f":{self.web_port}",
                "stats": self.stats,
                "admin": self.admin,
                **{f"backend_{name}": value for name, value in files_of(self.backends).items()},
                **{f"check_{name}": value for name, value in files_of(self.checks).items()},
            },
        )

    def _weight(self, one: Address, weights: Mapping[str, int]) -> int:
        return 0 if self.active not in ("", set_of(one.name)) else weights.get(one.name, WEIGHT)


def _weights(text: str, faults: list[str]) -> list[tuple[str, int]]:
    found = []
    for pair in text.split(","):
        name, _, value = (part.strip() for part in pair.partition("="))
        if name and value.isdigit() and 1 <= int(value) <= 256:
            found.append((name, int(value)))
        else:
            faults.append(f"ERIP_LB_WEIGHTS: {pair.strip()!r} is not NAME=WEIGHT with a weight from 1 to 256")
    return found
