"""Private PostgreSQL servers in place of the suite's, with the pooled backend: for tests that kill or freeze them."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from django.db import connections
from django.test import override_settings

from erip.access import keys
from erip.foundation.db.pooled import pool
from erip.foundation.db.replicas import fleet
from tests.workers import until
from workflows.graphs import graph_of
from workflows.starts import admission, chunks, versions
from workflows.store.outbox import version_number


def forget_all() -> None:
    """What this process remembers of another database."""
    versions.forget()
    keys.forget_cached()
    admission.forget()
    graph_of.cache_clear()
    chunks.forget()


@contextmanager
def in_place_of_ours(
    *, primary: str | list[str], replicas: dict[str, str] | None = None, limits: bool = True, **changed: object
) -> Iterator[None]:
    """`primary` is "default" in this block and in threads that begin in it; `replicas` is {alias: URL}. As in
    production, each has a pool. Nothing of the suite's own database is touched.

    primary: if it names several servers, libpq takes the one that accepts writes.
    """
    replicas = replicas or {}
    urls = {"default": primary, **replicas}
    described = {alias: _described([url] if isinstance(url, str) else url, limits) for alias, url in urls.items()}
    before = {alias: connections.settings.get(alias) for alias in described}
    ours = {one.alias: one for one in connections.all(initialized_only=True)}
    _forget_what_ids_stand_for()
    try:
        for alias, each in described.items():
            connections.settings[alias] = each
            _forget_wrapper(alias)
        with override_settings(ERIP_REPLICAS=list(replicas), **changed):
            try:
                yield
            finally:
                fleet.forget()
                connections.close_all()
                pool.close_all()
    finally:
        _forget_what_ids_stand_for()
        for alias, each in before.items():
            _forget_wrapper(alias)
            if each is None:
                del connections.settings[alias]
            else:
                connections.settings[alias] = each
            if alias in ours:
                connections[alias] = ours[alias]


def _forget_what_ids_stand_for() -> None:
    """The engine keeps what belongs to an id for good, as versions never change. In another database the same id stands
    for something else."""
    graph_of.cache.clear()
    version_number.cache.clear()
    versions.forget()


def reconfigure(root: Any, name: str, value: str) -> None:
    """Set a setting of a server, and wait until all of its processes use it. root: a superuser's cursor, in
    autocommit. value: empty for the default, where that is empty.

    pg_reload_conf answers before any process has read the file. The postmaster signals the sessions first, then the
    checkpointer, which lets commits know whether to wait for a standby. It reads its settings before it checkpoints.
    """
    root.execute(f"ALTER SYSTEM SET {name} = '{value}'" if value else f"ALTER SYSTEM RESET {name}")
    root.execute("SELECT pg_reload_conf()")

    def is_read() -> bool:
        root.execute(f"SHOW {name}")
        return bool(root.fetchone()[0] == value)

    until(is_read, what=f"{name} is {value!r}")
    root.execute("CHECKPOINT")


def _described(urls: list[str], limits: bool) -> dict:
    parts = urlsplit(urls[0])
    base = connections.settings["default"]
    options = {"connect_timeout": 3, "application_name": f"test-{secrets.token_hex(4)}"}
    if len(urls) > 1:
        options["target_session_attrs"] = "read-write"
    if limits:
        options["options"] = "-c statement_timeout=10000 -c lock_timeout=3000"
    return {
        **base,
        "ENGINE": "erip.foundation.db.pooled",
        "CONN_MAX_AGE": 0,
        "HOST": ",".join(str(urlsplit(url).hostname) for url in urls),
        "PORT": ",".join(str(urlsplit(url).port) for url in urls),
        "USER": parts.username,
        "PASSWORD": parts.password,
        "NAME": parts.path.lstrip("/"),
        "OPTIONS": options,
    }


def _forget_wrapper(alias: str) -> None:
    if any(one.alias == alias for one in connections.all(initialized_only=True)):
        del connections[alias]
