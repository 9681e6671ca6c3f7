"""Threads that fight for the connections of one process: does anybody starve, does anything leak?

    python -m benchmarks.pool --threads 500 --seconds 60

Starts a PostgreSQL of its own. Each thread takes a connection, runs a statement (one in ten is a transaction that
writes), gives it back, and does it again. Exit status 3: a checkout took longer than the acquire timeout, failed, or a
connection was not given back.
"""

import argparse
import os
import secrets
import statistics
import sys
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field

import psycopg2

from erip.ops.stack.servers import Server, private_servers


@dataclass
class _Seen:
    """What one thread saw."""

    waited: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    written: int = 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pool", description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--connections", type=int, default=200)
    options = parser.parse_args()
    with private_servers(redis=False) as (server, _):
        assert server is not None
        _allow_connections(server, options.connections + 20)
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "erip.settings.local",
            "DATABASE_URL": server.url,
            "ERIP_PROCESSES": "1",
            "ERIP_DB_MIN": "20",
            "ERIP_DB_MAX": str(options.connections),
            "ERIP_SECRET_KEY": secrets.token_urlsafe(32),
        }
        import django

        django.setup()
        return _measure(options.threads, options.seconds, options.connections)


def _allow_connections(server: Server, count: int) -> None:
    """The stack's own servers take 200, of which three are kept for superusers."""
    command = [part if not part.startswith("max_connections=") else f"max_connections={count}" for part in
               server.kind.command]  # fmt: skip
    server.stop()
    type(server.kind).command = property(lambda _: command)  # type: ignore[assignment, method-assign]
    server.start()


def _measure(threads: int, seconds: float, connections: int) -> int:
    from django.conf import settings
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE counter (id int PRIMARY KEY, value bigint NOT NULL)")
        cursor.execute("INSERT INTO counter SELECT generate_series(1, %s), 0", [threads])
    connection.close()
    seen = [_Seen() for _ in range(threads)]
    end = time.monotonic() + seconds
    workers = [
        threading.Thread(target=_work, args=(number + 1, end, seen[number]), name=f"client-{number}")
        for number in range(threads)
    ]
    began, cpu = time.monotonic(), time.process_time()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(seconds + 60)
    took, cpu = time.monotonic() - began, time.process_time() - cpu
    waited = sorted(value for each in seen for value in each.waited)
    failures = [failure for each in seen for failure in each.failures]
    counts = [len(each.waited) for each in seen]
    left, leaks = _left_over()
    rows = {
        "threads / connections": f"{threads} / {connections}",
        "checkouts": f"{len(waited)} in {took:.1f} s ({len(waited) / took:.0f}/s)",
        "checkouts of a thread: fewest, median, most": f"{min(counts)}, {statistics.median(counts):.0f}, {max(counts)}",
        "wait for a connection: p50, p99, longest": ", ".join(
            f"{1000 * waited[min(len(waited) - 1, int(len(waited) * part))]:.1f} ms" for part in (0.5, 0.99, 1)
        ),
        "client's CPU": f"{1e6 * cpu / len(waited):.0f} µs a checkout with its statement",
        "failed": f"{len(failures)} {failures[:1] or ''}",
        "not given back": str(left),
        "reported as leaked": f"{leaks:.0f}",
    }
    for name, value in rows.items():
        sys.stdout.write(f"{name:<48}{value}\n")
    good = not failures and waited[-1] < settings.ERIP_DB_POOL_TIMEOUT and left == 0 and leaks == 0
    written = _written()
    if written != sum(each.written for each in seen):
        sys.stdout.write(f"the writes do not add up: {written}\n")
        good = False
    return 0 if good else 3


def _work(key: int, end: float, seen: _Seen) -> None:
    from django.db import Error, connection, transaction

    number = 0
    while time.monotonic() < end:
        number += 1
        began = time.monotonic()
        try:
            connection.ensure_connection()
            seen.waited.append(time.monotonic() - began)
            if number % 10 == 0:
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute("UPDATE counter SET value = value + 1 WHERE id = %s", [key])
                seen.written += 1
            else:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT value FROM counter WHERE id = %s", [key])
                    cursor.fetchone()
        except Error as error:
            seen.failures.append(str(error).strip())
        finally:
            connection.close()


def _left_over() -> tuple[int, float]:
    """Connections that are out although no thread works any more, and leaks that were reported."""
    from erip.foundation.db import metrics

    def value(name: str) -> float:
        return metrics.REGISTRY.get_sample_value(name, {"database": "default"}) or 0.0

    return int(value("erip_db_connections_in_use")), value("erip_db_leaks_total")


def _written() -> int:
    with closing(psycopg2.connect(os.environ["DATABASE_URL"])) as raw, raw.cursor() as cursor:
        cursor.execute("SELECT sum(value) FROM counter")
        row = cursor.fetchone()
    return int(row[0]) if row else 0


if __name__ == "__main__":
    sys.exit(main())
