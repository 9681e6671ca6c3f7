"""Settings of the event bus."""

import environ

env = environ.Env()

# More partitions than consumers there will ever be. Lower or raise it only while no event waits: a key may then belong
# to another partition, whose events are not in order with those of the former.
ERIP_EVENT_PARTITIONS = env.int("ERIP_EVENT_PARTITIONS", 16)
# One request, as it is sent and as it is after decompression.
ERIP_EVENT_BODY_LIMIT = env.int("ERIP_EVENT_BODY_LIMIT", 5 * 1024 * 1024)
ERIP_EVENT_BATCH_LIMIT = env.int("ERIP_EVENT_BATCH_LIMIT", 10_000)
# Seconds that a request may wait for a database that is away before it is answered with 503.
ERIP_EVENT_INGEST_SECONDS = env.float("ERIP_EVENT_INGEST_SECONDS", 5.0)

# Events are taken as long as all that wait can be served within this bound, at the rate that was measured.
ERIP_EVENT_BOUND_SECONDS = env.float("ERIP_EVENT_BOUND_SECONDS", 10.0)
ERIP_EVENT_MIN_RATE = env.float("ERIP_EVENT_MIN_RATE", 2_000.0)
ERIP_EVENT_MAX_BACKLOG = env.int("ERIP_EVENT_MAX_BACKLOG", 1_000_000)

# Whether general workers consume, and in how many threads each: while PostgreSQL writes one's round, another is read.
# Events of one partition in one transaction, at most; and how long a thread under load may wait for more of them (1 s
# at the most).
ERIP_EVENT_CONSUME = env.bool("ERIP_EVENT_CONSUME", True)
ERIP_EVENT_LOOPS = env.int("ERIP_EVENT_LOOPS", 2)
ERIP_EVENT_ROUND = env.int("ERIP_EVENT_ROUND", 200)
ERIP_EVENT_FLUSH_SECONDS = env.float("ERIP_EVENT_FLUSH_SECONDS", 0.1)
# Seconds without a heartbeat after which a consumer's partitions belong to the others.
ERIP_EVENT_LEASE_SECONDS = env.float("ERIP_EVENT_LEASE_SECONDS", 2.5)
# How often an event's effects are tried before it goes to the dead letters.
ERIP_EVENT_ATTEMPTS = env.int("ERIP_EVENT_ATTEMPTS", 4)

# For how long a re-send is told by its identity. The log is a record: nothing is dropped unless somebody says so.
ERIP_EVENT_DEDUPE_DAYS = env.int("ERIP_EVENT_DEDUPE_DAYS", 30)
ERIP_KEEP_EVENT_MONTHS: int | None = env.int("ERIP_KEEP_EVENT_MONTHS", None)

# Lifecycle events that are logged even if nobody listens: types, or beginnings of types and `*`.
ERIP_EVENTS_ALWAYS_LOG: list[str] = env.list("ERIP_EVENTS_ALWAYS_LOG", default=[])

# Webhooks of subscriptions: seconds for one request, how many are on their way to one endpoint at once, threads of one
# worker that send them, and days for which what was delivered or given up is remembered.
ERIP_EVENT_WEBHOOK_SECONDS = env.float("ERIP_EVENT_WEBHOOK_SECONDS", 10.0)
ERIP_EVENT_WEBHOOK_IN_FLIGHT = env.int("ERIP_EVENT_WEBHOOK_IN_FLIGHT", 4)
ERIP_EVENT_WEBHOOK_THREADS = env.int("ERIP_EVENT_WEBHOOK_THREADS", 8)
ERIP_EVENT_KEEP_DELIVERY_DAYS = env.float("ERIP_EVENT_KEEP_DELIVERY_DAYS", 30.0)

# Streams (server-sent events) that one process serves at once, and one caller of it; events that wait for a slow one.
ERIP_EVENT_STREAMS = env.int("ERIP_EVENT_STREAMS", 1_000)
ERIP_EVENT_STREAMS_PER_CALLER = env.int("ERIP_EVENT_STREAMS_PER_CALLER", 20)
ERIP_EVENT_STREAM_BUFFER = env.int("ERIP_EVENT_STREAM_BUFFER", 1_000)
ERIP_EVENT_STREAM_HEARTBEAT_SECONDS = env.float("ERIP_EVENT_STREAM_HEARTBEAT_SECONDS", 15.0)
