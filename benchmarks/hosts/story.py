"""What docs/how-to/three-hosts.md says, done: its blocks are the commands."""

import json
import re
import subprocess
from pathlib import Path
from secrets import token_hex

from benchmarks.hosts.machine import Machine
from erip.ops.deploy.inventory import LOGINS, SECRETS
from erip.ops.stack.state import ROOT

PAGE = ROOT / "docs" / "how-to" / "three-hosts.md"
BALANCER, DESK = 31, 5
#: the host that has Celery's monitor
FLOWER = 1
#: what machine N is given of the rendered files
OF_A_HOST = ("redis-{}", "sentinel-{}", "etcd-{}", "postgres-{}", "web-{}", "platform", "leaders", "flower")


def blocks() -> dict[str, list[str]]:
    """The commands of the page, by the heading that they stand under."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        title, _, text = part.partition("\n")
        found[title] = re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return found


def secrets() -> dict[str, str]:
    """What the page leaves to its reader, as variables."""
    names = [f"ERIP_DEPLOY_{one}_PASSWORD" for one in (*SECRETS, *LOGINS)]
    made = {name: token_hex(16) for name in (*names, "DB_PASSWORD", "DB_OWNER_PASSWORD", "FLOWER_PASSWORD")}
    # HAProxy asks for two open files for each connection: this machine may allow fewer than a unit of systemd does.
    return made | {"SECRET_KEY": token_hex(32), "ERIP_LB_MAXCONN_ALL": "4000"}


class Site:
    """Three hosts, a balancer, and the desk that keeps the authorities."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets = secrets()
        self._says = blocks()
        self._booted = 0
        self.desk = self._boot("desk", DESK)
        self.balancer = self._boot("balancer", BALANCER)
        self.hosts = {number: self._boot(f"host-{number}", 10 + number) for number in (1, 2, 3)}

    def install(self) -> None:
        """Steps 1 to 6. Raises CommandFailed."""
        self._do(self.desk, "1. The files")
        for number, host in self.hosts.items():
            self._give(host, number)
            self._do(host, "2. The servers", number)
        self._give(self.balancer, None)
        self._do(self.balancer, "3. HAProxy")
        for host in self.hosts.values():
            self._do(host, "4. Settings and secrets")
        self.wait_for_database()
        self._do(self.hosts[1], "5. The database")
        for host in self.hosts.values():
            self._do(host, "6. The platform")
        self._do(self.hosts[FLOWER], "Flower")

    def replace(self, number: int) -> None:
        """A new machine in the place of one that was pulled out."""
        announced, installed = range(2)
        left = next(host for other, host in self.hosts.items() if other != number)
        self._do(left, "Replace a machine", number, only=announced)
        self.hosts[number] = self._boot(f"host-{number}", 10 + number)
        self._give(self.hosts[number], number)
        self._do(self.hosts[number], "Replace a machine", number, only=installed)
        self._do(self.hosts[number], "4. Settings and secrets")
        self._do(self.hosts[number], "6. The platform")
        if number == FLOWER:
            self._do(self.hosts[number], "Flower")

    def renew(self) -> None:
        """All certificates, one machine after the other."""
        made, host_part, balancer_part = range(3)
        self._do(self.desk, "Renew certificates", only=made)
        for number, host in self.hosts.items():
            self._give(host, number)
            self._do(host, "Renew certificates", number, only=host_part)
        self._give(self.balancer, None)
        self._do(self.balancer, "Renew certificates", only=balancer_part)

    def pull(self, number: int) -> None:
        self.hosts.pop(number).pull()

    def wait_for_database(self) -> None:
        """Until PostgreSQL takes writes through HAProxy."""
        self.hosts[1].shell(
            f"for i in $(seq 240); do {self._psql('SELECT 1')} >/dev/null 2>&1 && exit 0; sleep 0.5; done; exit 1"
        )

    def manage(self, command: str) -> str:
        """`manage.py` on one of the hosts, with the settings of its units. Raises CommandFailed."""
        return self._any().shell(f"sh /opt/erip/deploy/manage.sh {command}")

    def flower(self) -> str:
        """The status with which Celery's monitor answers web processes, by their code and settings on the last host."""
        asked = "from console.flower import ask; print(ask('/flower/workers', {}).status)"
        return (
            self.hosts[max(self.hosts)]
            .shell(f'sh /opt/erip/deploy/manage.sh shell -v 0 -c "{asked}" 2>/dev/null || echo away')
            .strip()
        )

    def sql(self, statement: str) -> str:
        """What the primary answers, as its superuser. Raises CommandFailed."""
        return self._any().shell(self._psql(statement)).strip()

    def leader(self) -> int:
        """The host whose PostgreSQL leads."""
        return int(self.sql("SELECT host(inet_server_addr())").removeprefix("10.0.0.1"))

    def etcd_members(self) -> int:
        """Members that answer, each asked on its own host."""
        ask = "import sys; from pathlib import Path; from erip.ops.guard.keeper import read"
        ask += "; client = read(Path('/etc/erip/keeper.toml')).client(timeout=5.0)"
        ask += "; print(len([one for one in client.members() if one.name]) if client.healthy() else 0)"
        counted = [host.shell(f'cd /opt/erip; .venv/bin/python -c "{ask}"').strip() for host in self.hosts.values()]
        return min(int(one) for one in counted)

    def redis(self) -> str:
        """How many replicas the master has, and how many other Sentinels a Sentinel of each host knows at least."""
        sentinels = [self._ask_sentinel(number, "SENTINEL MASTER erip") for number in self.hosts]
        known = [dict(zip(one[::2], one[1::2], strict=False)) for one in sentinels]
        masters = {one.get("ip", "?") for one in known}
        others = min(one.get("num-other-sentinels", "?") for one in known)
        if len(masters) != 1:
            return f"masters: {', '.join(sorted(masters))}"
        number = int(masters.pop().removeprefix("10.0.0.1"))
        info = self._ask_redis(number, "INFO replication")
        replicas = next((line.partition(":")[2] for line in info if line.startswith("connected_slaves")), "?")
        return f"{replicas} {others}"

    def failed_units(self) -> list[str]:
        found = []
        for machine in (*self.hosts.values(), self.balancer):
            units = json.loads(machine.shell("systemctl status"))
            found += [f"{machine.name}: {unit}" for unit, state in units.items() if state != "active"]
        return found

    def _any(self) -> Machine:
        return next(iter(self.hosts.values()))

    def _psql(self, statement: str) -> str:
        login = "host=10.0.0.31 port=5000 user=postgres dbname=$DB connect_timeout=3 sslmode=verify-full"
        own = "/etc/erip/tls/postgres/erip-platform.pem"
        files = f"sslrootcert=/etc/erip/tls/postgres/ca.crt sslcert={own} sslkey={own}"
        password = self.secrets["ERIP_DEPLOY_POSTGRES_SUPERUSER_PASSWORD"]
        database = "postgres" if statement == "SELECT 1" else "erip"
        return f"PGPASSWORD={password} psql -Atq '{login.replace('$DB', database)} {files}' -c \"{statement}\""

    def _ask_redis(self, number: int, command: str) -> list[str]:
        return self._ask(number, 6379, f"redis-{number}", self.secrets["ERIP_DEPLOY_REDIS_PASSWORD"], command)

    def _ask_sentinel(self, number: int, command: str) -> list[str]:
        return self._ask(number, 26379, f"sentinel-{number}", self.secrets["ERIP_DEPLOY_SENTINEL_PASSWORD"], command)

    def _ask(self, number: int, port: int, name: str, password: str, command: str) -> list[str]:
        own = f"/etc/erip/tls/redis/{name}.pem"
        tls = f"--tls --cacert /etc/erip/tls/redis/ca.crt --cert {own} --key {own} --no-auth-warning"
        words = f"REDISCLI_AUTH={password} redis-cli -h 10.0.0.1{number} -p {port} {tls} {command}"
        return self.hosts[number].shell(words).replace("\r", "").splitlines()

    def close(self) -> None:
        for machine in (*self.hosts.values(), self.balancer, self.desk):
            machine.pull()

    def _boot(self, name: str, number: int) -> Machine:
        self._booted += 1
        return Machine(name, number, self.folder / f"{self._booted}-{name}")

    def _do(self, machine: Machine, title: str, number: int | None = None, *, only: int | None = None) -> None:
        for at, text in enumerate(self._says[title]):
            if only is None or at == only:
                machine.shell(text, {**self.secrets, **({} if number is None else {"N": str(number)})})

    def _give(self, machine: Machine, number: int | None) -> None:
        """Copy what is this machine's of the rendered files."""
        parts = ["haproxy"] if number is None else [part.format(number) for part in OF_A_HOST]
        packed = self.folder / "copied.tar"
        self.desk.shell(f"tar -C /root/rendered -cf {packed} {' '.join(parts)}")
        machine.shell(f"rm -rf rendered; mkdir -m 0700 rendered; tar -C rendered -xf {packed}")
        packed.unlink()


def own_network() -> list[str]:
    """The words before a command that give it a network, and mounts, of its own."""
    return ["unshare", "--net", "--mount", "--propagation", "private", "--"]


def programs_lacking() -> list[str]:
    wanted = ("unshare", "nsenter", "setpriv", "ip", "haproxy", "etcd", "redis-server", "psql", "useradd")
    return [one for one in wanted if subprocess.run(["which", one], capture_output=True, check=False).returncode]  # noqa: S603, S607
