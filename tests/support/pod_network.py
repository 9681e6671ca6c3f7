"""Pods as network namespaces: each has an address, and a cable to the node, which passes on what its rules allow."""

import errno
import selectors
import socket
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import Final

from tests.support.namespaces import Namespace, refused
from tests.support.policies import Pod

#: the node's address at the end of each pod's cable
_GATEWAY: Final = "169.254.1.1"
#: A connection is answered at once, by the other end or by a rule. On a machine that others keep busy, later.
_PATIENCE: Final = 120.0
#: pods that connect at the same time: with the listeners fewer than 1,024 open files
_AT_ONCE: Final = 2
OPEN, SHUT = "open", "shut"
#: What the kernel says of a connection, or of a datagram. A listener stands at each port: only a rule refuses.
_MEANING: Final = {0: OPEN, errno.ECONNREFUSED: SHUT, errno.EHOSTUNREACH: SHUT}


#: what the kernel of a container may forbid: cables, rules, and settings of a network
_TRIED: Final = """\
ip link add type veth
nft add table inet tried
echo 1 >/proc/sys/net/ipv4/ip_forward
"""


def forbidden() -> str:
    """What forbids networks of pods on this machine, or nothing."""
    return refused(("unshare", "--net", "--", "/bin/sh", "-ec", _TRIED))


class PodNetwork:
    """In each pod a listener at each of the ports, over TCP and UDP."""

    def __init__(self, pods: Sequence[Pod], ports: Sequence[int]) -> None:
        self.pods = {pod.name: pod for pod in pods}
        self._ports = ports
        self._stack = ExitStack()
        self._rooms: dict[str, Namespace] = {}
        try:
            self._build()
        except BaseException:
            self._stack.close()
            raise

    def apply(self, rules: str) -> None:
        """Put rules of nftables in force, in place of those before. Raises RuntimeError if the kernel refuses them."""
        self._node.command("nft", "-f", "-", given=rules)

    def outcomes(self, asked: Iterable[tuple[str, str, int]]) -> dict[tuple[str, str, int], str]:
        """For (from, to, port) over TCP: `open`, `shut` by a rule, or the error that the kernel reports."""
        by_source: dict[str, list[tuple[str, str, int]]] = {}
        for one in asked:
            by_source.setdefault(one[0], []).append(one)
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            # All of it inside, in one call: a call for each socket costs more than the connections.
            answers = threads.map(
                lambda source: self._rooms[source].run(lambda: self._connect_all(by_source[source])), by_source
            )
            return {key: outcome for each in answers for key, outcome in each.items()}

    def asks(self, source: str, target: str, port: int) -> str:
        """The same for a datagram, and its answer."""
        with self._rooms[source].run(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as ours:
            ours.settimeout(1)
            try:
                ours.connect((self.pods[target].address, port))
                for _ in range(int(_PATIENCE)):
                    try:
                        ours.send(b"?")
                        return OPEN if ours.recv(16) == b"?" else "another answer"
                    except TimeoutError:
                        continue
            except OSError as error:
                return _meaning(error.errno or -1)
        return "no answer"

    def _build(self) -> None:
        self._node = self._stack.enter_context(Namespace("node"))
        self._node.setting("ipv4/ip_forward", "1")
        # A rule answers each datagram, not one a second.
        self._node.setting("ipv4/icmp_ratelimit", "0")
        for pod in self.pods.values():
            room = self._rooms[pod.name] = self._stack.enter_context(Namespace(pod.name))
            self._node.command(
                *("ip", "link", "add", pod.interface, "type", "veth", "peer", "name", "eth0", "netns", room.path)
            )
            self._node.command("ip", "-batch", "-", given=_NODE_END.format(pod=pod, gateway=_GATEWAY))
            room.command("ip", "-batch", "-", given=_POD_END.format(pod=pod, gateway=_GATEWAY))
        echo = _Echo()
        for room in self._rooms.values():
            for listener, datagrams in room.run(self._listen):
                self._stack.enter_context(listener)
                self._stack.enter_context(datagrams)
                echo.add(datagrams)
        echo.start()
        self._stack.callback(echo.close)

    def _listen(self) -> list[tuple[socket.socket, socket.socket]]:
        made = []
        for port in self._ports:
            listener = socket.create_server(("", port), backlog=4096)
            datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            datagrams.bind(("", port))
            made.append((listener, datagrams))
        return made

    def _connect_all(self, asked: Sequence[tuple[str, str, int]]) -> dict[tuple[str, str, int], str]:
        with ExitStack() as stack, selectors.DefaultSelector() as waiting:
            for key in asked:
                ours = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                ours.setblocking(False)
                begun = ours.connect_ex((self.pods[key[1]].address, key[2]))
                if begun not in (0, errno.EINPROGRESS):
                    raise OSError(begun, f"no connection began: {key}")
                waiting.register(ours, selectors.EVENT_WRITE, key)
            found, until = {}, time.monotonic() + _PATIENCE
            while len(found) < len(asked) and time.monotonic() < until:
                for ready, _ in waiting.select(1):
                    connection = ready.fileobj
                    assert isinstance(connection, socket.socket)
                    found[ready.data] = _meaning(connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
                    waiting.unregister(connection)
            return {key: found.get(key, "no answer") for key in asked}

    def __enter__(self) -> "PodNetwork":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()


_NODE_END: Final = """\
addr add {gateway}/32 dev {pod.interface}
link set {pod.interface} up
route add {pod.address}/32 dev {pod.interface}
"""
_POD_END: Final = """\
addr add {pod.address}/32 dev eth0
link set eth0 up
route add {gateway}/32 dev eth0 scope link
route add default via {gateway}
"""


def _meaning(error: int) -> str:
    return _MEANING.get(error, errno.errorcode.get(error, str(error)))


class _Echo:
    """Sends each datagram back."""

    def __init__(self) -> None:
        self._sockets = selectors.DefaultSelector()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="echo")
        self._ends = False

    def add(self, datagrams: socket.socket) -> None:
        self._sockets.register(datagrams, selectors.EVENT_READ)

    def start(self) -> None:
        self._thread.submit(self._serve)

    def _serve(self) -> None:
        while not self._ends:
            for ready, _ in self._sockets.select(0.1):
                assert isinstance(ready.fileobj, socket.socket)
                data, sender = ready.fileobj.recvfrom(16)
                ready.fileobj.sendto(data, sender)

    def close(self) -> None:
        self._ends = True
        self._thread.shutdown()
        self._sockets.close()
