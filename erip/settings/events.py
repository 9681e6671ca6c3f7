"""Settings of the event bus."""

from .declared import TOGETHER, Declarations

env = Declarations("Events")

# More partitions than there will ever be consumers. Lower or raise it only while no event waits: a key may then belong
# to another partition, whose events are not ordered with those of the old one.
ERIP_EVENT_PARTITIONS = env.whole(
    "ERIP_EVENT_PARTITIONS",
    16,
    "Order is kept within a partition. The same number in every process; change it only while nothing waits.",
    unit="partitions",
    least=1,
    most=1024,
    applies=TOGETHER,
)
# The size of one request, as sent and after decompression.
ERIP_EVENT_BODY_LIMIT = env.whole(
    "ERIP_EVENT_BODY_LIMIT",
    5 * 1024 * 1024,
    "Bytes of one request with events, also after decompression.",
    shown="5242880 (5 MiB)",
    unit="bytes",
    least=1024,
    most=64 * 1024 * 1024,
)
ERIP_EVENT_BATCH_LIMIT = env.whole(
    "ERIP_EVENT_BATCH_LIMIT", 10_000, "Events of one request.", unit="events", least=1, most=100_000
)
# Seconds that a request may wait for a database that is away before it is answered with 503.
ERIP_EVENT_INGEST_SECONDS = env.number(
    "ERIP_EVENT_INGEST_SECONDS",
    5.0,
    "Seconds for which a request waits for a database that is away, before it is answered with 503.",
    least=0,
    most=60,
)

# Events are accepted as long as all waiting ones can be served within this bound, at the measured rate.
ERIP_EVENT_BOUND_SECONDS = env.number(
    "ERIP_EVENT_BOUND_SECONDS",
    10.0,
    "Events that could not be served within this many seconds are refused with 429.",
    least=1,
    most=3600,
)
ERIP_EVENT_MIN_RATE = env.number(
    "ERIP_EVENT_MIN_RATE",
    2_000.0,
    "Events per second that the consumers are credited with at the least.",
    unit="events/s",
    least=1,
    most=1_000_000,
)
ERIP_EVENT_MAX_BACKLOG = env.whole(
    "ERIP_EVENT_MAX_BACKLOG", 1_000_000, "Events that may wait at the most.", unit="events", least=1, most=100_000_000
)

# Whether general workers consume, and in how many threads each: while PostgreSQL writes the round of one thread,
# another thread reads its own. Events of one partition in one transaction, at most; and how long a thread under load
# may wait for more of them (1 s at the most). Requests under load wait for others for two fifths of that: 0 turns both
# off.
ERIP_EVENT_CONSUME = env.flag("ERIP_EVENT_CONSUME", True, "Whether general workers consume events.")
ERIP_EVENT_LOOPS = env.whole(
    "ERIP_EVENT_LOOPS", 2, "Threads in which a worker consumes.", unit="threads", least=1, most=16
)
ERIP_EVENT_ROUND = env.whole(
    "ERIP_EVENT_ROUND", 200, "Events of one partition in one round.", unit="events", least=1, most=5_000
)
ERIP_EVENT_FLUSH_SECONDS = env.number(
    "ERIP_EVENT_FLUSH_SECONDS", 0.1, "Seconds for which events gather under load.", least=0, most=1
)
# Seconds without a heartbeat after which a consumer's partitions belong to the others.
ERIP_EVENT_LEASE_SECONDS = env.number(
    "ERIP_EVENT_LEASE_SECONDS",
    2.5,
    "A consumer that is silent for this many seconds has lost its partitions.",
    least=1,
    most=60,
)
# How often an event's effects are tried before it goes to the dead letters.
ERIP_EVENT_ATTEMPTS = env.whole(
    "ERIP_EVENT_ATTEMPTS", 4, "Attempts before an event becomes a dead letter.", unit="attempts", least=1, most=100
)

# For how long a repeated event is recognised by its source and id. The log is a record: nothing is dropped unless the
# operator configures it.
ERIP_EVENT_DEDUPE_DAYS = env.whole(
    "ERIP_EVENT_DEDUPE_DAYS", 30, "Days for which a repeated event is recognised.", least=1, most=3650
)
ERIP_KEEP_EVENT_MONTHS: int | None = env.whole(
    "ERIP_KEEP_EVENT_MONTHS", None, "Months of the log that are kept; without it, all.", least=1
)

# Lifecycle events that are logged even if nobody listens: types, or beginnings of types and `*`.
ERIP_EVENTS_ALWAYS_LOG: list[str] = env.items(
    "ERIP_EVENTS_ALWAYS_LOG", [], "Lifecycle events that are logged even while nobody listens, as `workflow.run.*`."
)

# Webhooks of subscriptions: seconds for one request, how many are on their way to one endpoint at once, threads of one
# worker that send them, and days for which what was delivered or given up is remembered.
ERIP_EVENT_WEBHOOK_SECONDS = env.number(
    "ERIP_EVENT_WEBHOOK_SECONDS", 10.0, "Seconds that one delivery may take.", least=1, most=60
)
ERIP_EVENT_WEBHOOK_IN_FLIGHT = env.whole(
    "ERIP_EVENT_WEBHOOK_IN_FLIGHT", 4, "Deliveries to one subscription at once.", unit="requests", least=1, most=100
)
ERIP_EVENT_WEBHOOK_THREADS = env.whole(
    "ERIP_EVENT_WEBHOOK_THREADS", 8, "Threads of one worker that deliver.", unit="threads", least=1, most=100
)
ERIP_EVENT_KEEP_DELIVERY_DAYS = env.number(
    "ERIP_EVENT_KEEP_DELIVERY_DAYS", 30.0, "Days for which the delivery log is kept.", least=1, most=3650
)

# Streams (server-sent events) that one process serves at once, and to one caller; events that wait for a slow stream.
ERIP_EVENT_STREAMS = env.whole(
    "ERIP_EVENT_STREAMS", 1_000, "Open event streams of one web process.", unit="streams", least=1, most=100_000
)
ERIP_EVENT_STREAMS_PER_CALLER = env.whole(
    "ERIP_EVENT_STREAMS_PER_CALLER", 20, "Open event streams of one caller.", unit="streams", least=1, most=100_000
)
ERIP_EVENT_STREAM_BUFFER = env.whole(
    "ERIP_EVENT_STREAM_BUFFER",
    1_000,
    "Events that a slow listener may be behind.",
    unit="events",
    least=10,
    most=100_000,
)
ERIP_EVENT_STREAM_HEARTBEAT_SECONDS = env.number(
    "ERIP_EVENT_STREAM_HEARTBEAT_SECONDS", 15.0, "Seconds between two signs of life on a stream.", least=1, most=60
)
