"""How ERIP reaches its broker: bounded in time, and alive after the broker was away."""

import erip.foundation.redis_alone  # noqa: F401  (first: it says why)

# isort: split
from collections.abc import Iterable
from functools import cache
from queue import Empty
from typing import Any

import redis.utils
import structlog
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import Channel as RedisChannel
from kombu.transport.redis import SentinelChannel
from kombu.transport.redis import SentinelTransport as KombuSentinelTransport
from kombu.transport.redis import Transport as KombuRedisTransport
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.retry import Retry

from erip.foundation.process import messages
from erip.foundation.process.broker_tls import ManagedTlsConnection, TlsConnection
from erip.foundation.process.vitals import pulse

log = structlog.get_logger(__name__)


class _LooksFirst:
    """Mixed into kombu's channels: what comes in is read as Note [Messages] says, and never ends the worker."""

    def _brpop_read(self, **options: Any) -> bool:
        """Like kombu's, except for how the message is handled. Raises Empty, and connection errors."""
        try:
            try:
                found = self.client.parse_response(self.client.connection, "BRPOP", **options)  # type: ignore[attr-defined]
            except self.connection_errors:  # type: ignore[attr-defined]
                # So that the next turn connects again.
                self.client.connection.disconnect()  # type: ignore[attr-defined]
                raise
            except ResponseError as error:
                self._clear(error, self.active_queues)  # type: ignore[attr-defined]
                raise Empty from None
            if not found:
                raise Empty
            queue = found[0].decode("utf-8", "replace").rsplit(self.sep, 1)[0]  # type: ignore[attr-defined]
            self._queue_cycle.rotate(queue)  # type: ignore[attr-defined]
            return self._hand_on(found[1], queue)
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()  # type: ignore[attr-defined]

    def _hand_on(self, raw: bytes, queue: str) -> bool:
        try:
            message = messages.read(raw, queue)
        except messages.Refused as refusal:
            log.warning("message_refused", queue=queue, why=str(refusal), bytes=len(raw))
            return True
        try:
            self.connection._deliver(message, queue)  # type: ignore[attr-defined]
        except (*self.connection_errors, *self.channel_errors):  # type: ignore[attr-defined]
            raise
        except Exception:
            # ERIP itself made this message, so the fault is ours. The work is found without it.
            log.exception("message_failed", queue=queue)
        return True

    def _size(self, queue: str) -> int:
        try:
            return int(super()._size(queue))  # type: ignore[misc]
        except ResponseError as error:
            self._clear(error, [queue])
            return 0

    def _clear(self, error: ResponseError, queues: Iterable[str]) -> None:
        """A key of a queue holds something that is no list: nobody could be served until it is gone."""
        if "WRONGTYPE" not in str(error):
            raise error
        with self.conn_or_acquire() as client:  # type: ignore[attr-defined]
            for queue in list(queues):
                for priority in self.priority_steps:  # type: ignore[attr-defined]
                    key = self._q_for_pri(queue, priority)  # type: ignore[attr-defined]
                    if client.type(key) not in (b"list", b"none"):
                        client.delete(key)
                        log.warning("queue_was_no_list", queue=queue)

    def _queue_bind(self, exchange: str, *arguments: Any) -> None:
        try:
            super()._queue_bind(exchange, *arguments)  # type: ignore[misc]
        except ResponseError as error:
            if "WRONGTYPE" not in str(error):
                raise
            with self.conn_or_acquire() as client:  # type: ignore[attr-defined]
                client.delete(self.keyprefix_queue % exchange)  # type: ignore[attr-defined]
            log.warning("bindings_were_no_set", exchange=exchange)
            super()._queue_bind(exchange, *arguments)  # type: ignore[misc]

    def get_table(self, exchange: str) -> list[tuple[str, ...]]:
        """The bindings, without entries that are not bindings."""
        return [binding for binding in super().get_table(exchange) if len(binding) == 3]  # type: ignore[misc]


class _SurvivesCollect:
    """Mixed into kombu's channels: asks a collected connection for its parameters, and gets a connection error.

    Celery 5.7.0 closes a connection after it was collected. Stock kombu then raises AttributeError ('NoneType' has no
    'hostname'), which no retry expects, and the worker exits with 1 whenever the broker goes away.
    """

    def _connparams(self, asynchronous: bool = False) -> Any:
        connection = getattr(self, "connection", None)
        if connection is None or getattr(connection, "client", None) is None:
            raise RedisConnectionError("the connection was closed")
        parameters = super()._connparams(asynchronous)  # type: ignore[misc]
        # redis-py's default is several tries with rests between, each as long as a timeout: for the consumer, one try
        # to reach a frozen master would take most of a minute. The callers try again themselves.
        return {**parameters, "retry": Retry(NoBackoff(), 0)}

    def _brpop_start(self, *arguments: Any, **options: Any) -> Any:
        """A worker asks for messages, which shows that its consumer is alive."""
        started = super()._brpop_start(*arguments, **options)  # type: ignore[misc]
        if self._in_poll:  # type: ignore[attr-defined]
            pulse.polled()
        return started


class _Pushes:
    """Mixed into kombu's channels: puts finished messages into a queue, with one client for all of them. kombu's own
    way makes a client for each message, which costs more than to send it."""

    def push(self, queue: str, message: bytes) -> None:
        """Append it (`messages.write`). Raises whatever the broker's client does."""
        client = getattr(self, "_pusher", None)
        # A channel that lost its connections makes new ones, in another pool.
        if client is None or client.connection_pool is not self.pool:  # type: ignore[attr-defined]
            client = self._pusher = self._create_client()  # type: ignore[attr-defined]
        client.lpush(self._q_for_pri(queue, 0), message)  # type: ignore[attr-defined]


class SurvivingRedisChannel(_LooksFirst, _Pushes, _SurvivesCollect, RedisChannel):
    connection_class_ssl = TlsConnection


class SurvivingSentinelChannel(_LooksFirst, _Pushes, _SurvivesCollect, SentinelChannel):
    connection_class_ssl = ManagedTlsConnection

    def _sentinel_managed_pool(self, asynchronous: bool = False) -> Any:
        """kombu lets redis-py choose the connections to the Sentinels; none of them is open yet."""
        pool = super()._sentinel_managed_pool(asynchronous)
        if self.connection.client.ssl:
            for sentinel in pool.sentinel_manager.sentinels:
                sentinel.connection_pool.connection_class = TlsConnection
        return pool


class RedisTransport(KombuRedisTransport):
    Channel = SurvivingRedisChannel


class SentinelTransport(KombuSentinelTransport):
    Channel = SurvivingSentinelChannel


def install_transports() -> None:
    """Use the surviving channels for redis:// and sentinel:// in this process, for workers and publishers alike.

    redis-py tells the server its own version at each connection, and reads it from its package's metadata each time,
    which costs several times what connecting does; it is read once here.
    """
    redis.utils.get_lib_version = cache(redis.utils.get_lib_version)
    for alias in ("redis", "rediss"):
        TRANSPORT_ALIASES[alias] = "erip.foundation.process.broker:RedisTransport"
    TRANSPORT_ALIASES["sentinel"] = "erip.foundation.process.broker:SentinelTransport"


def transport_options(
    url: str, *, master: str, sentinel_password: str, tls: dict[str, Any] | None = None
) -> dict[str, Any]:
    """kombu's transport options for a worker. Without them a frozen broker hangs every process that talks to it.

    tls: `tls_options` for the Sentinels, too; None: they are asked in the clear.
    """
    options: dict[str, Any] = {
        # PostgreSQL is the guarantee: no `unacked` set, no visibility timeout, one round trip in place of three.
        "ack_emulation": False,
        # Serve the first queue of -Q that has messages; by default the queues would take turns.
        "queue_order_strategy": "priority",
        # A queue is one list. With kombu's four for each queue, every wait for a message names sixteen keys.
        "priority_steps": [0],
        # By default there is none, and a client of a frozen master would wait for ever. It is longer than the second
        # that BRPOP itself waits.
        "socket_timeout": 3.0,
        # A host that is gone answers nothing at all.
        "socket_connect_timeout": 1.0,
        # Detects a peer that vanished while the connection was silent.
        "socket_keepalive": True,
        # Seconds, beyond BRPOP's own second, after which a consumer gives up its connection: again for a frozen master.
        "health_check_interval": 2,
    }
    if url.startswith("sentinel"):
        options["master_name"] = master
        # redis-py's default is ten retries of 5 s for each Sentinel that is down (measured: 47 s in place of 2.7 s).
        options["sentinel_kwargs"] = {
            "password": sentinel_password or None,
            "socket_timeout": 0.5,
            "socket_connect_timeout": 0.5,
            "retry": None,
            **({"ssl": True, **tls} if tls else {}),
        }
    return options


def publisher_options(worker_options: dict[str, Any]) -> dict[str, Any]:
    """The same for a publisher, which must answer its own caller, so it gives up after about a second."""
    return {
        **worker_options,
        "socket_timeout": 1.0,
        # One try and no rests between: without these a first publish takes 6 to 12 s to fail.
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0,
        "interval_max": 0,
        "connect_retries_timeout": 1,
    }
