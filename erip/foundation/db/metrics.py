"""The metrics of the database layer, in a registry of their own: code that exposes metrics reads REGISTRY.

Names and labels are a contract (docs/explanation/database.md). `database` is Django's alias.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

CHECKED_OUT = Gauge("erip_db_connections_in_use", "Connections that threads hold.", ["database"], registry=REGISTRY)
IDLE = Gauge("erip_db_connections_idle", "Connections that lie in the pool.", ["database"], registry=REGISTRY)
CHECKOUTS = Counter("erip_db_checkouts", "Connections handed out.", ["database"], registry=REGISTRY)
CONNECTS = Counter("erip_db_connects", "Connections opened.", ["database", "outcome"], registry=REGISTRY)
WAITS = Counter("erip_db_waits", "Checkouts that found no free connection.", ["database"], registry=REGISTRY)
WAITED = Histogram(
    "erip_db_wait_seconds",
    "How long a checkout took, connecting included.",
    ["database"],
    buckets=(0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0),
    registry=REGISTRY,
)
TIMEOUTS = Counter("erip_db_timeouts", "Checkouts given up (PoolExhausted).", ["database"], registry=REGISTRY)
LEAKS = Counter("erip_db_leaks", "Connections reported as leaked.", ["database"], registry=REGISTRY)
ABANDONED = Counter("erip_db_abandoned", "Connections that came back by themselves.", ["database"], registry=REGISTRY)
INVALIDATIONS = Counter(
    "erip_db_invalidations", "Times that all connections of a pool were given up.", ["database"], registry=REGISTRY
)
CUT = Counter("erip_db_statements_cut", "Statements cut off by the client.", ["database", "why"], registry=REGISTRY)
SLOW = Counter("erip_db_slow_statements", "Statements that were logged as slow.", ["database"], registry=REGISTRY)
RETRIES = Counter("erip_db_retries", "Transactions run again.", ["sqlstate"], registry=REGISTRY)
BREAKER = Gauge("erip_db_breaker_open", "1 while the database counts as away.", ["database"], registry=REGISTRY)
REPLICA_IN_ROTATION = Gauge("erip_db_replica_in_rotation", "1: reads go there.", ["database"], registry=REGISTRY)
REPLICA_LAG = Gauge("erip_db_replica_lag_seconds", "How far it is behind.", ["database"], registry=REGISTRY)
READS = Counter(
    "erip_db_replica_reads", "Reads that may be served by a replica, by who served them.", ["by"], registry=REGISTRY
)
