"""What each process of the stack finds in its environment: what it needs, and nothing else.

Note [Least environment]
Every process can leak its environment, through a fault of its own or through /proc. So no process inherits what happens
to be in the environment of the caller that started the stack (cloud keys, tokens of a build), and none gets a secret of
the platform that it does not use: PostgreSQL, Redis, etcd, HAProxy, the node guard and Flower get no setting of the
platform at all, and of the platform's processes only workers and leaders send webhooks and mail.
"""

from collections.abc import Mapping

#: what programs need to run at all, whatever they do
_BASE = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP"),
    *("VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
)
_BASE_PREFIXES = ("LC_", "PYTHON", "OPENBLAS_", "OMP_")
#: the platform's own settings
_SETTINGS = (
    *("DATABASE_URL", "DATABASE_URL_FILE", "DATABASE_OWNER_URL", "DATABASE_OWNER_URL_FILE"),
    "DJANGO_SETTINGS_MODULE",
)
#: a variable with this end names the file that holds the secret
_BY_FILE = "_FILE"
_SETTINGS_PREFIXES = ("ERIP_", "PROMETHEUS_")
#: settings that are secret, and the kinds of process that have a use for them; a secret that is not named here goes to
#: all processes of the platform
_FOR: Mapping[str, tuple[str, ...]] = {
    # For migrations, which are no process of the platform: Note [Owner] in erip/foundation/db/roles.py.
    "DATABASE_OWNER_URL": (),
    "ERIP_WEBHOOK_SECRET": ("worker",),
    # Leaders send alerts.
    "ERIP_EMAIL_URL": ("worker", "leader"),
    "ERIP_ALERT_WEBHOOK_SECRET": ("leader",),
    # The path of such a URL is often a secret, too.
    "ERIP_ALERT_WEBHOOKS": ("leader",),
    "ERIP_ALERT_SLACK": ("leader",),
    "ERIP_ALERT_TEAMS": ("leader",),
    "ERIP_ALERT_PAGERDUTY": ("leader",),
    "ERIP_ALERT_HEARTBEAT_URL": ("leader",),
    "ERIP_OTLP_HEADERS": ("leader",),
    # It signs the audit log's checkpoints: whoever has it can forge them.
    "ERIP_AUDIT_KEY": ("leader",),
    "ERIP_AUDIT_WEBHOOK": ("leader",),
    "ERIP_AUDIT_S3_SECRET": ("leader",),
    "ERIP_FLOWER_BROKER_URL": (),
    # For workers that no service of the stack is (`of_further_worker`): the stack's own have it as ERIP_BROKER_URL.
    "ERIP_WORKER_BROKER_URL": (),
    # They show Flower to people.
    "ERIP_FLOWER_LOGIN": ("web",),
    # For `manage.py backup`, which no process of the platform runs.
    "ERIP_BACKUP_PASS": (),
}


def base(environment: Mapping[str, str]) -> dict[str, str]:
    """What any program gets."""
    return {name: value for name, value in environment.items() if name in _BASE or name.startswith(_BASE_PREFIXES)}


def of_platform(environment: Mapping[str, str]) -> dict[str, str]:
    """What any process of the platform may get: the base, and the platform's settings."""
    of_own_apps = {name.strip() for name in environment.get("ERIP_APPS_ENV", "").split(",")}
    settings = {
        name: value
        for name, value in environment.items()
        if name in _SETTINGS or name in of_own_apps or name.startswith(_SETTINGS_PREFIXES)
    }
    return {**base(environment), **settings}


def settings_module(environment: Mapping[str, str]) -> str:
    """The settings that the local stack runs with: those of the user's own, if DJANGO_SETTINGS_MODULE names any. The
    platform's others are not for a stack: tests and production have other servers."""
    named = environment.get("DJANGO_SETTINGS_MODULE", "")
    return named if named and not named.startswith("erip.settings.") else "erip.settings.local"


def of_further_worker(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a worker that a process with this one starts: it takes messages, which no other login to the
    broker may do."""
    ends = ("", _BY_FILE)
    for end in ends:
        if own := environment.get(f"ERIP_WORKER_BROKER_URL{end}"):
            # A secret that is set both by itself and by a file is refused: one of the caller's must not stay beside it.
            replaced = {f"ERIP_{whose}BROKER_URL{each}" for whose in ("", "WORKER_") for each in ends}
            others = {name: value for name, value in environment.items() if name not in replaced}
            return {**others, f"ERIP_BROKER_URL{end}": own}
    return dict(environment)


def of_kind(environment: Mapping[str, str], kind: str) -> dict[str, str]:
    """The part of the platform's environment that a process of this kind (`web`, `worker`, `leader`) uses."""
    return {
        name: value for name, value in environment.items() if kind in _FOR.get(name.removesuffix(_BY_FILE), (kind,))
    }
