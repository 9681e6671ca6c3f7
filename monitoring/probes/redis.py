"""The broker, and the Sentinels that know where it is. Their clients try once: the next look is the second try."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from erip.foundation.process.broker_tls import client_of
from monitoring.conf import Conf
from monitoring.core.components import Member, State
from monitoring.probes import Finding, Unanswered

#: seconds for one answer: a Sentinel that is away must not use up the time of the others
_ANSWER_WITHIN = 0.5
#: a share of `maxmemory`; above it writes are about to be refused, since ERIP's Redis evicts nothing
_NEARLY_FULL = 0.9
#: servers of one broker that are asked, and seconds after which one that does not answer is not asked any more
_MOST_SERVERS, _FORGET_AFTER = 8, 600.0


@dataclass(frozen=True, slots=True)
class Place:
    """One server of the broker's URL."""

    host: str
    port: int
    username: str | None
    password: str | None
    #: what its connections take for TLS; None: there is none
    tls: dict[str, Any] | None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def places(url: str, tls: dict[str, Any] | None = None) -> list[Place]:
    """The servers of kombu's URL, which joins several with `;`."""
    found = []
    for part in filter(None, (each.strip() for each in url.split(";"))):
        split = urlsplit(part)
        default = 26_379 if split.scheme.startswith("sentinel") else 6_379
        login = [unquote(text) if text else None for text in (split.username, split.password)]
        found.append(Place(split.hostname or "127.0.0.1", split.port or default, login[0], login[1], tls))
    return found


def client(place: Place, password: str | None, username: str | None = None) -> redis.Redis:
    """A client that tries once, and waits for half a second."""
    return client_of(
        place.tls,
        host=place.host,
        port=place.port,
        username=username,
        password=password or None,
        socket_timeout=_ANSWER_WITHIN,
        socket_connect_timeout=_ANSWER_WITHIN,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


class Sentinels:
    """What the Sentinels say: how many answer, and whether enough of them do for a failover."""

    def __init__(self, conf: Conf) -> None:
        self._places = places(conf.broker, conf.broker_tls)
        self._master, self._password = conf.sentinel_master, conf.sentinel_password

    def __call__(self) -> Finding:
        answers: dict[str, tuple[str, bool]] = {}
        silent: list[str] = []
        members: list[Member] = []
        for place in self._places:
            name = f"sentinel at {place}"
            try:
                with client(place, self._password) as sentinel:
                    found = _master_of(sentinel, self._master)
                    enough = _quorum(sentinel, self._master)
                    life = str(sentinel.info("server").get("run_id", ""))
            except (redis.RedisError, OSError):
                silent.append(str(place))
                members.append(Member("sentinel", name, State.DOWN, f"The Sentinel at {place} does not answer."))
            else:
                answers[str(place)] = (":".join(found) if found else "", enough)
                members.append(Member("sentinel", name, State.OK, identity=life))
        if not answers:
            raise Unanswered(f"none of {len(self._places)} Sentinels answers", tuple(members))
        return replace(self._judge(answers, silent), members=tuple(members), identity_of="redis")

    def _judge(self, answers: dict[str, tuple[str, bool]], silent: list[str]) -> Finding:
        measures = {"erip_sentinel_answering": float(len(answers))}
        masters = {master for master, _ in answers.values()}
        if masters == {""}:
            return Finding(State.DOWN, f'The Sentinels know no master called "{self._master}".', "", measures)
        if not any(enough for _, enough in answers.values()):
            sentence = "Too few Sentinels agree: a Redis that fails would not be replaced."
            return Finding(State.DEGRADED, sentence, "", measures)
        if silent:
            sentence = f"{len(answers)} of {len(self._places)} Sentinels answer; silent: {', '.join(silent)}."
            return Finding(State.DEGRADED, sentence, "", measures)
        if len(masters) > 1:
            sentence = "The Sentinels do not agree on the master: a failover is under way."
            return Finding(State.DEGRADED, sentence, "", measures, about=("redis",))
        return Finding(State.OK, f"{len(answers)} Sentinels answer and agree.", masters.pop(), measures)


def _master_of(sentinel: redis.Redis, master: str) -> Sequence[str] | None:
    """Host and port; None if the Sentinel knows no such master."""
    found: Sequence[str] | None = sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", master)  # type: ignore[no-untyped-call]
    return found


def _quorum(sentinel: redis.Redis, master: str) -> bool:
    try:
        sentinel.execute_command("SENTINEL", "CKQUORUM", master)  # type: ignore[no-untyped-call]
    except redis.ResponseError:
        return False
    return True


class Broker:
    """The Redis that the platform publishes to: the master, as the Sentinels know it, or the one of the URL."""

    def __init__(self, conf: Conf) -> None:
        self._places = places(conf.broker, conf.broker_tls)
        self._by_sentinel = conf.broker.startswith("sentinel")
        self._master, self._sentinel_password = conf.sentinel_master, conf.sentinel_password
        #: the servers that were seen, masters and replicas, and when they answered last: they are asked while they are
        #: away, too
        self._known: dict[tuple[str, int], tuple[Place, float]] = {}

    def __call__(self) -> Finding:
        place = self._find()
        try:
            known = self._ask(place)
        except Unanswered as error:
            # The others say which of them is another one now; who leads, nobody knows.
            raise Unanswered(str(error), (_silent(place, str(error)), *self._others(place))) from error
        self._known[place.host, place.port] = (place, time.monotonic())
        for host, port in _replicas(known):
            if len(self._known) < _MOST_SERVERS:
                self._known.setdefault((host, port), (replace(place, host=host, port=port), time.monotonic()))
        state, sentence = _judge(known, place)
        members = (_member(known, place, state, sentence), *self._others(place))
        return Finding(state, sentence, str(known.get("run_id", "")), _measures(known), members)

    def _ask(self, place: Place) -> dict[str, Any]:
        """Its INFO. Raises Unanswered."""
        try:
            with client(place, place.password, place.username) as server:
                found: dict[str, Any] = server.info("everything")
                return found
        except redis.AuthenticationError as error:
            raise Unanswered(f"Redis at {place} refuses the login") from error
        except redis.ResponseError as error:
            raise Unanswered(f"Redis at {place} refuses to report: {str(error)[:100]}") from error
        except (redis.RedisError, OSError) as error:
            raise Unanswered(f"Redis at {place} does not answer") from error

    def _others(self, asked: Place) -> list[Member]:
        """How the other servers are that were seen before. Those that are not reached in time are left out: nothing is
        known of them."""
        found = []
        begin = time.monotonic()
        for key, (place, answered) in list(self._known.items()):
            if key == (asked.host, asked.port):
                continue
            if begin - answered > _FORGET_AFTER:
                # It was taken away for good.
                del self._known[key]
                continue
            if time.monotonic() - begin > 2 * _ANSWER_WITHIN:
                break
            try:
                known = self._ask(place)
            except Unanswered as error:
                found.append(_silent(place, str(error)))
            else:
                self._known[key] = (place, time.monotonic())
                found.append(_member(known, place, State.OK, ""))
        return found

    def _find(self) -> Place:
        if not self._by_sentinel:
            return self._places[0]
        for sentinel in self._places:
            try:
                with client(sentinel, self._sentinel_password) as asked:
                    found = _master_of(asked, self._master)
            except (redis.RedisError, OSError):
                continue
            if found:
                login = self._places[0]
                return Place(found[0], int(found[1]), login.username, login.password, login.tls)
        raise Unanswered("no Sentinel says where Redis is")


def _silent(place: Place, why: str) -> Member:
    return Member("redis", f"Redis at {place}", State.DOWN, f"{why}.")


def _member(known: dict[str, Any], place: Place, state: State, sentence: str) -> Member:
    role = str(known.get("role", ""))
    return Member(
        "redis", f"Redis at {place}", state, sentence, str(known.get("run_id", "")), role, role == "master",
        {"flushes": _flushes(known)},
    )  # fmt: skip


def _replicas(known: dict[str, Any]) -> list[tuple[str, int]]:
    """Where the replicas are, as the master says: those that redis-py could read."""
    listed = [value for name, value in known.items() if name.startswith("slave") and isinstance(value, dict)]
    return [(str(one["ip"]), int(one["port"])) for one in listed if "ip" in one and str(one.get("port", "")).isdigit()]


def _flushes(known: dict[str, Any]) -> float:
    return float(sum(int(known.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("flushall", "flushdb")))


def _judge(known: dict[str, Any], place: Place) -> tuple[State, str]:
    if known.get("loading"):
        return State.DOWN, f"Redis at {place} is loading its data."
    if known.get("role") != "master":
        return State.DOWN, f"Redis at {place} is a replica: nothing can be published."
    most, used = int(known.get("maxmemory", 0)), int(known.get("used_memory", 0))
    if most and used >= _NEARLY_FULL * most:
        return State.DEGRADED, f"Redis at {place} serves, but uses {used / most:.0%} of its memory."
    replicas, wanted = int(known.get("connected_slaves", 0)), int(known.get("min_slaves_good_slaves", -1))
    if wanted == 0 and replicas == 0:
        return State.DEGRADED, f"Redis at {place} has no replica, and so refuses writes."
    return State.OK, f"Redis at {place} serves; {int(known.get('connected_clients', 0))} clients are connected."


def _measures(known: dict[str, Any]) -> dict[str, float]:
    wanted = {
        "connected_clients": "erip_redis_clients",
        "blocked_clients": "erip_redis_blocked_clients",
        "used_memory": "erip_redis_memory_bytes",
        "maxmemory": "erip_redis_memory_limit_bytes",
        "connected_slaves": "erip_redis_replicas",
        "total_commands_processed": "erip_redis_commands_total",
        "rejected_connections": "erip_redis_rejected_connections_total",
        "total_error_replies": "erip_redis_errors_total",
        "evicted_keys": "erip_redis_evicted_keys_total",
    }
    found = {metric: float(known[name]) for name, metric in wanted.items() if name in known}
    # FLUSHALL loses no run, and nobody may do it: it shows here alone.
    return {**found, "erip_redis_flushes_total": _flushes(known)}
