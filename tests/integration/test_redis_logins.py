"""Redis's logins: each does what its kind of process does, and Redis refuses it all else. A message, whoever sends it,
makes a worker look and changes nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from django.apps import apps
from django.db import connection

from erip.foundation.process.broker import install_transports, publisher_options, transport_options
from erip.foundation.process.broker_tls import client_of
from erip.ops.deploy.redis_users import FLOWER, LEADER, REPLICA, SENTINEL, WEB, WORKER
from erip.ops.stack.ha.tls import of_broker
from erip.ops.stack.ports import LOOPBACK
from erip.ops.stack.servers import private_servers
from erip.settings import celery as queues
from tests.definitions import CHAIN, publish
from tests.support.watched_redis import ASKING, Watched, watched_redis
from tests.workers import until
from workflows import engine, store, tasks  # noqa: F401  (what a message may ask for)
from workflows.models import WorkflowRun

LANES = ["critical", "high", "standard", "bulk"]
RUN = "01a216c4-255d-7ff9-8a4c-da028ded0511"
NAMES = (WEB, WORKER, LEADER, FLOWER, REPLICA, SENTINEL)
PASSWORDS = {name: f"of-{name}" for name in NAMES}


@pytest.fixture(scope="module")
def broker() -> Iterator[Any]:
    with private_servers(postgres=False, logins=PASSWORDS) as (_, server):
        assert server is not None
        yield server.kind


@pytest.fixture
def owner(broker: Any) -> Iterator[redis.Redis]:
    with redis.Redis(port=broker.port, password=broker.password, decode_responses=True) as client:
        client.flushall()
        client.acl_log_reset()
        yield client


def app(url: str, options: dict[str, Any], tls: dict[str, Any] | None = None) -> Celery:
    install_transports()
    made = Celery("t", broker=url, broker_use_ssl=tls or False, set_as_current=False)
    made.conf.update(
        task_queues=queues.CELERY_TASK_QUEUES, task_default_queue="standard", task_default_exchange="erip",
        broker_transport_options=options, task_ignore_result=True,
    )  # fmt: skip
    return made


def send(url: str, lane: str) -> None:
    options = publisher_options(transport_options(url, master="", sentinel_password=""))
    app(url, options).send_task("workflows.execute", kwargs={"run_ids": [RUN]}, queue=lane, routing_key=lane)


def taken(url: str, lane: str) -> list[Any]:
    found: list[Any] = []
    sender = app(url, transport_options(url, master="", sentinel_password=""))
    with sender.connection() as opened, sender.events.Dispatcher(opened, hostname="w@test") as say:
        say.send("worker-heartbeat", freq=2, sw_ident="t", sw_ver="1", sw_sys="Linux", active=0, processed=0)
        queue = next(one for one in queues.CELERY_TASK_QUEUES if one.name == lane)
        with opened.Consumer([queue], callbacks=[lambda _, message: found.append(message)], no_ack=True):
            until(lambda: opened.drain_events(timeout=5) is None and found, what="the message is taken")
    return found


def test_each_kind_of_process_does_its_work(broker: Any, owner: redis.Redis) -> None:
    for sender in (WEB, LEADER, WORKER):
        send(broker.url_of(sender), "critical")
        assert owner.llen("critical") == 1, sender
        assert len(taken(broker.url_of(WORKER), "critical")) == 1
    for looking in (WEB, LEADER, WORKER):
        with redis.Redis.from_url(broker.url_of(looking)) as client:
            assert client.info("everything")["role"] == "master"
    # Of Redis's own accord: nothing that they do was refused.
    refused = [(one["username"], one["reason"], one["object"]) for one in owner.acl_log()]
    assert [one for one in refused if "setinfo" not in one[2]] == []


#: what nobody but the operator may do
DANGEROUS = (
    ("FLUSHALL",), ("FLUSHDB",), ("KEYS", "*"), ("SCAN", "0"), ("CONFIG", "GET", "*"), ("CONFIG", "SET", "save", "1 1"),
    ("ACL", "LIST"), ("ACL", "SETUSER", "web", "+@all"), ("SHUTDOWN", "NOSAVE"), ("SAVE",),
    ("REPLICAOF", "127.0.0.1", "1"), ("CLIENT", "LIST"), ("CLIENT", "KILL", "TYPE", "normal"), ("MONITOR",),
    ("RENAME", "critical", "other"), ("RESTORE", "x", "0", "x"), ("MIGRATE", "h", "1", "critical", "0", "1"),
    ("SWAPDB", "0", "1"), ("SET", "critical", "x"), ("EXPIRE", "critical", "1"), ("LTRIM", "critical", "1", "0"),
    ("LRANGE", "critical", "0", "-1"), ("LREM", "critical", "0", "work"), ("MODULE", "LIST"),
    ("PUBLISH", "/0.celery.pidbox", "x"), ("SUBSCRIBE", "/0.celery.pidbox"), ("SLOWLOG", "GET"), ("FUNCTION", "LIST"),
    ("EVAL", "return redis.call('FLUSHALL')", "0"),
)  # fmt: skip
#: and what those who only send may not do either
TAKING = (
    ("BRPOP", "critical", "1"),
    ("RPOP", "critical"),
    ("DEL", "critical"),
    ("LMOVE", "critical", "x", "LEFT", "LEFT"),
)


@pytest.mark.parametrize("name", NAMES)
def test_redis_refuses_the_rest(name: str, broker: Any, owner: redis.Redis) -> None:
    owner.lpush("critical", "work")
    for command in (*DANGEROUS, *(TAKING if name != WORKER else ())):
        if name == SENTINEL and command[0] in ("SUBSCRIBE", "PUBLISH"):
            continue  # Sentinels find each other that way; no worker listens to any channel
        if (name == SENTINEL and command[:2] == ("CLIENT", "KILL")) or (command[0] == "REPLICAOF" and name == SENTINEL):
            continue  # which is a failover
        with (
            redis.Redis(port=broker.port, username=name, password=PASSWORDS[name]) as client,
            pytest.raises((redis.ResponseError, redis.ConnectionError)) as refused,
        ):
            client.execute_command(*command)
        said = str(refused.value).lower()
        known = ("permission", "can't run this command", "unknown command")
        assert any(one in said for one in known) or name == REPLICA, f"{command}: {refused.value}"
    assert owner.llen("critical") == 1


def test_each_password_opens_its_own_login_only(broker: Any) -> None:
    for name in (*NAMES, "default"):
        with (
            redis.Redis(port=broker.port, username=name, password="of-other") as client,
            pytest.raises(redis.RedisError),
        ):
            client.ping()


# --- Sentinel ---------------------------------------------------------------------------------------------


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Watched]:
    with watched_redis(tmp_path, PASSWORDS) as made:
        yield made


def test_sentinels_fail_over_and_the_platform_may_only_ask_them(cluster: Watched) -> None:
    watcher, tls = cluster.watchers[0], of_broker(cluster.mine)
    commands = [
        *(f"SENTINEL {word}" for word in (
            "FAILOVER erip", "RESET *", "REMOVE erip", "SET erip quorum 1", "MONITOR x 127.0.0.1 1 1", "CONFIG SET x y",
            "SIMULATE-FAILURE crash-after-election", "FLUSHCONFIG", "DEBUG",
        )),
        *("SHUTDOWN", "ACL LIST", "CLIENT LIST", "PUBLISH __sentinel__:hello x"),
    ]  # fmt: skip
    for command in commands:
        with (
            client_of(tls, host=LOOPBACK, port=watcher.port, password=ASKING) as client,
            pytest.raises(redis.ResponseError, match="permission"),
        ):
            client.execute_command(*command.split())

    cluster.processes["redis-1"].kill()
    url = cluster.url(WEB, PASSWORDS[WEB])

    def moved() -> bool:
        state, others = cluster.state(), [str(one.port) for one in cluster.nodes[1:]]
        return state.get("port") in others and "down" not in state.get("flags", "down")

    until(moved, seconds=60, what="a replica is the master")
    # The replica that follows it makes it take writes again (min-replicas-to-write).
    sender = app(url, publisher_options(cluster.options(url)), of_broker(cluster.mine))

    def sent() -> bool:
        try:
            sender.send_task("workflows.execute", kwargs={"run_ids": [RUN]}, queue="bulk", routing_key="bulk")
        except Exception:
            return False
        return True

    until(sent, seconds=60, what="the new master takes messages of the same login")


# --- messages -------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_forged_or_replayed_message_changes_nothing(executor: Any) -> None:
    """A message says: look at these runs. Whoever writes one, and however often, a worker finds what PostgreSQL has: of
    a run that has ended, is paused, waits or is at work elsewhere it takes nothing."""
    publish(CHAIN)
    publish("name: waits\nsteps:\n  rest: {wait: {for: 1d}}\n")
    start = lambda name: engine.start_runs(name, [engine.StartRequest({"times": 1})], principal="ann")[0].id  # noqa: E731
    ended, cancelled, paused, waiting, elsewhere = (
        start(name) for name in ("chain", *("chain",) * 2, "waits", "chain")
    )
    executor.execute([ended])
    executor.execute([waiting])
    until(lambda: WorkflowRun.objects.get(pk=ended).state == "SUCCEEDED", what="it ended")
    until(lambda: WorkflowRun.objects.get(pk=waiting).state == "WAITING", what="it waits")
    engine.cancel_run(cancelled, principal="ann")
    engine.pause_run(paused, principal="ann")
    other = store.register_worker("other", "there", 2, LANES)
    assert store.claim([elsewhere], worker_id=other, lanes=LANES)

    before = everything()
    forged = [ended, cancelled, paused, waiting, elsewhere, "01a216c4-255d-7ff9-8a4c-da028ded0511"]
    for _ in range(3):
        assert executor.execute(forged) == 0
        assert executor.execute(list(reversed(forged)) * 5) == 0
    assert everything() == before


def everything() -> dict[str, list[Any]]:
    """All rows of the engine's tables but those that say that a worker lives."""
    found = {}
    with connection.cursor() as cursor:
        for model in apps.get_app_config("workflows").get_models():
            table = model._meta.db_table
            if table != "workflows_worker":
                cursor.execute(f"SELECT to_jsonb(t)::text FROM {table} t ORDER BY 1")
                found[table] = cursor.fetchall()
    return found
