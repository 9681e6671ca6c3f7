"""Settings of programs that do not load Django: the local stack, HAProxy's files, the client, probes. They are declared
here all the same, so that one list has every setting, and a value that is wrong is named with the others.
"""

from .declared import CALL, Declarations
from .values import http_url

_processes = Declarations("Platform")
_stack = Declarations("Local stack")
_balancer = Declarations("HAProxy")
_deploy = Declarations("Files for production")
_client = Declarations("Client")

_processes.mention(
    "DJANGO_SETTINGS_MODULE",
    "text",
    "erip.settings.local for manage.py, else .production",
    "Which settings.",
)
_processes.mention(
    "ERIP_LOG_ERROR_TEXT",
    "yes or no",
    "false",
    "Whether logs show the text of every error, which may quote data of users; for development.",
)
_processes.mention(
    "ERIP_ALIVE_DIR", "text", "<state directory>/alive", "Where heartbeat files are ([probes](../how-to/health.md))."
)
_processes.mention("ERIP_REASON", "text", "", "Why a command is called: it stands in the audit log.", applies=CALL)

_stack.mention(
    "ERIP_STACK_SERVERS",
    "text",
    "auto",
    "`path`: only the machine's servers; `wheels`: only the pinned ones.",
    choices=("auto", "path", "wheels"),
)
_stack.mention(
    "ERIP_STACK_USER", "text", "", "The user that runs everything when root starts the stack; empty: one of its own."
)
_stack.mention("ERIP_STACK_ID", "text", "", "Set by the stack in each of its processes, so that it finds them again.")
for _name, _port in (("WEB", "8000"), ("FLOWER", "5555"), ("POSTGRES", "any"), ("REDIS", "any")):
    _stack.mention(
        f"ERIP_{_name}_PORT",
        "whole number",
        _port,
        "A port ([which is chosen](../how-to/local-stack.md#settings)); 0: any that is free.",
        least=0,
        most=65_535,
    )
_stack.mention(
    "ERIP_ETCD_QUOTA_BYTES", "whole number", "268435456", "Room for each etcd's store, with `HA=1`.", above=0
)
_stack.mention(
    "ERIP_BACKUP_DIR",
    "text",
    "",
    "With `HA=1`: the folder for [backups](../how-to/backups.md#on-one-machine); empty: none are made.",
)
_stack.mention(
    "ERIP_FLOWER_BROKER_URL", "text", "", "The broker as Flower's own Redis user; empty: ERIP_BROKER_URL.", secret=True
)
_stack.mention(
    "ERIP_WORKER_BROKER_URL",
    "text",
    "",
    "The broker as the workers' own Redis user, for those that `manage.py autoscale` starts on its machine; empty:"
    " ERIP_BROKER_URL.",
    secret=True,
    by_file=True,
)
_stack.mention(
    "ERIP_FLOWER_CERTIFICATE",
    "text",
    "",
    "PEM file with Flower's certificate and key: it speaks TLS 1.3 alone. A new one is taken within 5 s.",
)
_stack.mention(
    "ERIP_FLOWER_CLIENT_CA",
    "text",
    "",
    "PEM file of the authority of those who may connect to Flower; empty: anybody, who then needs its login.",
)

_balancer.mention(
    "ERIP_LB_BALANCE",
    "text",
    "leastconn",
    "The rule of balancing ([HAProxy](../how-to/high-availability.md#files-for-production)).",
    choices=("leastconn", "roundrobin", "source"),
    applies=CALL,
)
_balancer.mention("ERIP_LB_WEIGHTS", "list", "", "Weights of web processes, as `web-1=2,web-2=1`.", applies=CALL)
_balancer.mention(
    "ERIP_LB_CERTIFICATE",
    "text",
    "",
    "A PEM file with certificate and key: TLS 1.3 on the users' ports. Empty: `make up HA=1` makes one. `none`: they are in the clear.",
    applies=CALL,
)
_balancer.mention(
    "ERIP_LB_REDIRECT_PORT",
    "whole number",
    "0",
    "A plain port that does nothing but send browsers to the web port; 0: there is none.",
    least=0,
    most=65_535,
    applies=CALL,
)
for _name, _unit, _default, _about in (
    ("CONCURRENCY", "requests", "16", "Requests that one web server works on at once; the others wait in HAProxy."),
    ("QUEUE", "requests", "5000", "Requests that may wait."),
    ("QUEUE_SECONDS", "s", "1", "Seconds that a request may wait."),
    ("LARGE", "requests", "64", "Requests with a large body at one web server at once."),
    ("FILES", "requests", "200", "Requests for public files at one web server at once."),
    ("MAXCONN", "connections", "2000", "Streams and waiting callers of one web process."),
    ("MAXCONN_ALL", "connections", "20000", "Connections from all clients."),
    ("PER_ADDRESS", "connections", "1000", "Connections from one client address."),
):
    _balancer.mention(f"ERIP_LB_{_name}", "whole number", _default, _about, unit=_unit, above=0, applies=CALL)
# Named here and not imported: the settings of every process would load what makes files.
for _name in (
    *("REDIS", "SENTINEL", "ETCD", "ETCD_PATRONI", "PATRONI_REST"),
    *("POSTGRES_SUPERUSER", "POSTGRES_REPLICATION", "POSTGRES_REWIND"),
    *("BACKUP", "S3_KEY", "S3_SECRET"),
    *("REDIS_WEB", "REDIS_WORKER", "REDIS_LEADER", "REDIS_FLOWER", "REDIS_REPLICA", "REDIS_SENTINEL", "SENTINEL_PEER"),
):
    _deploy.mention(
        f"ERIP_DEPLOY_{_name}_PASSWORD",
        "text",
        "",
        "A password that the files for production hold: 16 or more letters, digits and `- _ . ~`.",
        secret=True,
        applies=CALL,
    )

_client.mention("ERIP_URL", "text", "http://127.0.0.1:8000", "The server's address.", form=http_url, applies=CALL)
_client.mention("ERIP_API_KEY", "text", "", "The caller's key.", secret=True, applies=CALL)
_client.mention("ERIP_PROFILE", "text", "", "Which profile of the file is used.", applies=CALL)
_client.mention("ERIP_CONFIG", "text", "", "Another file of profiles.", applies=CALL)
