"""Settings of Celery: one queue per lane. A message is a hint; PostgreSQL holds the work."""

from kombu import Exchange, Queue

_exchange = Exchange("erip", type="direct")

CELERY_TASK_QUEUES = [Queue(lane, _exchange, routing_key=lane) for lane in ("critical", "high", "standard", "bulk")]
CELERY_TASK_DEFAULT_QUEUE = "standard"
CELERY_TASK_DEFAULT_EXCHANGE = "erip"
CELERY_TASK_DEFAULT_ROUTING_KEY = "standard"
CELERY_TASK_CREATE_MISSING_QUEUES = False

# JSON only: a pickled message would be code.
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"

# Results are in PostgreSQL.
CELERY_TASK_IGNORE_RESULT = True
# Celery's null backend is looked up once per process and not in each publishing thread: the lookup reads the metadata
# of every installed package (a tenth of a second, in the middle of a failover).
CELERY_RESULT_BACKEND_THREAD_SAFE = True
# Early: a lost hint costs a re-dispatch, nothing else.
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1

# A worker that starts, or lives, while no broker can be reached works on what it finds in PostgreSQL.
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_WORKER_CONSUMER = "erip.foundation.process.consumer:Consumer"
# Fewer prefetched messages after a reconnect would mean slower work after a failover; a message is only a hint.
CELERY_WORKER_ENABLE_PREFETCH_COUNT_REDUCTION = False
# A master without its replica refuses writes (NOREPLICAS), which would otherwise end the worker.
CELERY_BROKER_CHANNEL_ERROR_RETRY = True

# A client that may write to the broker could stop workers or change their pool. Nothing here uses it: heartbeats show
# whether a worker is alive (docs/how-to/health.md), and signals end it.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False

# Logs are Django's.
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_ENABLE_UTC = True
CELERY_TIMEZONE = "UTC"
