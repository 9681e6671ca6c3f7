"""What every environment shares. Each variable is declared where it is read (`declared`), and
docs/reference/settings.md is generated from those declarations.
"""

import sys
import warnings
from pathlib import Path
from typing import Any

from erip.foundation.process.broker import publisher_options, transport_options
from erip.foundation.process.broker_tls import tls_options

from . import declared
from .admin import *
from .audit import *
from .celery import *
from .database import *
from .declared import TOGETHER, Declarations
from .door import *
from .elsewhere import *
from .events import *
from .flags import *
from .flower import *
from .health import *
from .people import *
from .pulse import *
from .recovery import *
from .rest import *
from .scaling import *
from .secrets import *
from .sign_in import *
from .values import broker_urls, http_url, log_level, package, webhook_secret
from .web import *

BASE_DIR = Path(__file__).resolve().parent.parent.parent
env = Declarations("Platform")

ERIP_STATE_DIR = Path(
    env.text("ERIP_STATE_DIR", str(BASE_DIR / ".erip"), "Where the local stack keeps everything.", shown=".erip")
)

SECRET_KEY = env.text(
    "ERIP_SECRET_KEY",
    "",
    "Signs sessions and report links; at least 32 characters. Production has no default.",
    shown="made by the local stack",
    secret=True,
    required=True,
    applies=TOGETHER,
)
DEBUG = False
ALLOWED_HOSTS: list[str] = env.items(
    "ERIP_ALLOWED_HOSTS", [], "Host names that requests may name. Production has no default.", required=True
)

# What a site adds: each app brings its steps (`steps`) and whatever else its module `hooks` says.
OWN_APPS: list[str] = env.items(
    "ERIP_APPS", [], "Your own packages with steps ([your first step](../tutorial/3-first-step.md)).", form=package
)
if _own := env.text("ERIP_APPS_DIR", "", "A directory in which your own packages stand, if they are not installed."):
    sys.path.insert(0, _own)

env.mention(
    "ERIP_APPS_ENV",
    "list",
    "",
    "Names of other variables that your own packages read. The local stack passes on no variable that it does not know.",
)

INSTALLED_APPS = [
    *ADMIN_APPS,
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "pgtrigger",
    *FLAG_APPS,
    *REST_APPS,
    "django_structlog",
    "erip",
    "erip.audit",
    "erip.ops.stack",
    "workflows",
    "workflows.decisions",
    "workflows.secrets",
    "workflows.privacy",
    "workflows.library",
    "workflows.events",
    "workflows.clocks",
    "schedules",
    "people",
    "monitoring",
    "monitoring.scaling",
    "console",
    *OWN_APPS,
]

MIDDLEWARE = [
    *REST_MIDDLEWARE,
    *DATABASE_MIDDLEWARE,
    "django.middleware.security.SecurityMiddleware",
    "erip.foundation.http.files.StaticFiles",
    "csp.middleware.CSPMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "erip.audit.middleware.Audited",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "erip.access.middleware.Logins",
    "erip.access.sign_in.step_up.StepUp",
    *LAST_MIDDLEWARE,
]

ROOT_URLCONF = "erip.urls"
ASGI_APPLICATION = "erip.asgi.application"
WSGI_APPLICATION = "erip.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- PostgreSQL: the truth ------------------------------------------------------------------------------
# Its settings are in `database.py`.
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis: the accelerator -----------------------------------------------------------------------------
ERIP_BROKER_URL = env.text(
    "ERIP_BROKER_URL",
    "redis://127.0.0.1:6379/0",
    "`redis://…`, `rediss://…`, or `sentinel://…;sentinel://…` with a scheme on each. Production has no default.",
    secret=True,
    required=True,
    form=broker_urls,
)
ERIP_SENTINEL_MASTER = env.text("ERIP_SENTINEL_MASTER", "erip", "The name by which the Sentinels know the master.")
ERIP_SENTINEL_PASSWORD = env.text(
    "ERIP_SENTINEL_PASSWORD", "", "The password of the Sentinels themselves.", secret=True
)
ERIP_BROKER_CA = env.text(
    "ERIP_BROKER_CA",
    "",
    "PEM file of the authority of Redis's and the Sentinels' certificates: both are spoken to by TLS 1.3 alone ([who may speak to Redis](../how-to/high-availability.md#who-may-speak-to-redis)).",
)
ERIP_BROKER_CERTIFICATE = env.text(
    "ERIP_BROKER_CERTIFICATE", "", "PEM file with a certificate and its key, which Redis and the Sentinels may ask for."
)
CELERY_BROKER_URL = ERIP_BROKER_URL
_broker_tls = tls_options(ERIP_BROKER_URL, ca=ERIP_BROKER_CA, certificate=ERIP_BROKER_CERTIFICATE)
CELERY_BROKER_USE_SSL: dict[str, Any] | bool = _broker_tls or False
CELERY_BROKER_TRANSPORT_OPTIONS = transport_options(
    ERIP_BROKER_URL, master=ERIP_SENTINEL_MASTER, sentinel_password=ERIP_SENTINEL_PASSWORD, tls=_broker_tls
)
ERIP_PUBLISHER_TRANSPORT_OPTIONS = publisher_options(CELERY_BROKER_TRANSPORT_OPTIONS)

# --- The engine -----------------------------------------------------------------------------------------
ERIP_WORKER_THREADS = env.whole(
    "ERIP_WORKER_THREADS", 16, "Threads of one worker that run steps.", unit="threads", least=1, most=1024
)
# Added to the niceness of all threads of a general worker except its consumer: Note [Who gives way] in
# workflows/events.
ERIP_WORKER_NICE = env.whole(
    "ERIP_WORKER_NICE",
    0,
    "Niceness of a general worker's steps, not of its event consumer; the local stack sets 10 ([processes](../how-to/operations.md#processes)).",
    unit="niceness",
    least=-20,
    most=19,
)
ERIP_HEARTBEAT_SECONDS = env.number(
    "ERIP_HEARTBEAT_SECONDS", 0.5, "Seconds between two heartbeats of a worker.", above=0, most=60
)
ERIP_CHUNK_RUNS = env.whole(
    "ERIP_CHUNK_RUNS",
    100,
    "Runs that are started together, and whose steps are short, share messages and commits: so many at most; 0: none do.",
    unit="runs",
    least=0,
    most=1_000,
)
ERIP_LEASE_SECONDS = env.number(
    "ERIP_LEASE_SECONDS", 3.0, "A worker that is silent for this many seconds has lost its steps.", above=0, most=600
)
ERIP_STALE_READY_SECONDS = env.number(
    "ERIP_STALE_READY_SECONDS",
    1.0,
    "Work that has been ready for this many seconds is taken without a message.",
    above=0,
    most=600,
)
ERIP_SHUTDOWN_GRACE_SECONDS = env.number(
    "ERIP_SHUTDOWN_GRACE_SECONDS",
    20.0,
    "Seconds that a stopping worker gives its running steps before it hands them back.",
    least=0,
    most=86_400,
)
ERIP_MAX_LOST_ATTEMPTS = env.whole(
    "ERIP_MAX_LOST_ATTEMPTS", 5, "Workers that one step may lose before it fails.", unit="workers", least=1
)
ERIP_LANE_BOUNDS: dict[str, float] = env.numbers(
    "ERIP_LANE_BOUNDS",
    {"critical": 2.0, "high": 10.0, "standard": 30.0, "bulk": 60.0},
    "Seconds within which work of a lane starts ([what that means](../how-to/operations.md#lanes)); lanes that are not named keep their default.",
    unit="s",
    above=0,
)
ERIP_AGEING_AT = env.number(
    "ERIP_AGEING_AT",
    0.5,
    "The share of its bound after which waiting work goes before more urgent work, in its turns.",
    unit="share",
    above=0,
    most=0.999,
)
ERIP_ADMISSION_MIN_RATE = env.number(
    "ERIP_ADMISSION_MIN_RATE",
    350.0,
    "Ready steps per second that the workers are credited with at the least, also before they were measured.",
    unit="steps/s",
    above=0,
)
ERIP_ADMISSION_MAX_BACKLOG = env.whole(
    "ERIP_ADMISSION_MAX_BACKLOG",
    100_000,
    "Steps that may wait in a lane at the most, however fast the workers are.",
    unit="steps",
    above=0,
)
# Finished runs are legal records: they leave the hot tables, but nothing is dropped unless the operator configures it.
ERIP_ARCHIVE_AFTER_DAYS = env.number(
    "ERIP_ARCHIVE_AFTER_DAYS",
    30.0,
    "Days after which finished runs leave the hot tables ([retention](../how-to/operations.md#retention)).",
    above=0,
)
ERIP_KEEP_ARCHIVE_MONTHS: int | None = env.whole(
    "ERIP_KEEP_ARCHIVE_MONTHS", None, "Months for which archived runs are kept; without it, for ever.", least=1
)
# How long each class of data is kept where its workflow's definition says nothing: docs/how-to/retention.md.
ERIP_RETENTION_RUN_DAYS: int | None = env.whole(
    "ERIP_RETENTION_RUN_DAYS",
    None,
    "Days after its end for which a run is kept ([by class](../how-to/retention.md)); without it, for ever.",
    least=1,
)
ERIP_RETENTION_SENSITIVE_DAYS: int | None = env.whole(
    "ERIP_RETENTION_SENSITIVE_DAYS",
    None,
    "Days after its end for which what is sealed of a run can be read; without it, as long as the run.",
    least=1,
)
ERIP_RETENTION_REPORT_DAYS: int | None = env.whole(
    "ERIP_RETENTION_REPORT_DAYS",
    None,
    "Days for which a report is kept, whatever its links; without it, they decide.",
    least=1,
)
ERIP_RETENTION_AUDIT_DAYS: int | None = env.whole(
    "ERIP_RETENTION_AUDIT_DAYS",
    None,
    "Days for which hashes of personal data in the audit log can be compared with a value; without it, for ever.",
    least=1,
)
ERIP_RETENTION_LEAST_DAYS: int | None = env.whole(
    "ERIP_RETENTION_LEAST_DAYS",
    None,
    "Days after its end before which PostgreSQL lets the application remove no archived run, whatever a definition"
    " says; without it, and with [roles of the database](../how-to/database-roles.md), it removes none.",
    least=0,
)
ERIP_ERASURE_JOURNAL = env.text(
    "ERIP_ERASURE_JOURNAL",
    "",
    "A file, apart from the database and its backups, to which each erasure is written;"
    " [a restored backup](../how-to/sensitive-data.md#after-a-backup-is-restored) is brought up to it.",
)

# --- The library ----------------------------------------------------------------------------------------
ERIP_PUBLIC_URL = env.text(
    "ERIP_PUBLIC_URL",
    "http://127.0.0.1:8000",
    "What links to reports begin with. Production has no default.",
    required=True,
    form=http_url,
).rstrip("/")
ERIP_REPORT_DIR = Path(
    env.text(
        "ERIP_REPORT_DIR",
        str(ERIP_STATE_DIR / "reports"),
        "The directory of report files.",
        shown="<state directory>/reports",
    )
)
ERIP_REPORT_TTL_DAYS = env.whole("ERIP_REPORT_TTL_DAYS", 30, "Days for which a report link answers.", least=1)
ERIP_REPORT_KEEP_DAYS = env.whole(
    "ERIP_REPORT_KEEP_DAYS", 0, "Days for which a report and its files are kept after its last link has ended.", least=0
)
ERIP_WEBHOOK_SECRET = env.text(
    "ERIP_WEBHOOK_SECRET", "", "`whsec_…`: signs webhooks (Standard Webhooks).", secret=True, form=webhook_secret
)
ERIP_WEBHOOK_ALLOW_PRIVATE = env.flag(
    "ERIP_WEBHOOK_ALLOW_PRIVATE", False, "Whether webhooks may go to addresses that are not public."
)
ERIP_ALERT_ALLOW_PRIVATE = env.flag(
    "ERIP_ALERT_ALLOW_PRIVATE",
    ERIP_WEBHOOK_ALLOW_PRIVATE,
    "Whether [alerts](../how-to/channels.md) may go to addresses that are not public; by default as webhooks.",
)

EMAIL_CONFIG = env.email_url(
    "ERIP_EMAIL_URL",
    "nomail://",
    "Where e-mail goes, as `smtp+tls://user:password@host:587`. By default none is sent, and `notify.send` says so; the"
    " local stack writes files to `mail/` in its state directory.",
)
EMAIL_TIMEOUT = 10  # a mail server that hangs must not hold a worker's thread; a URL with ?timeout= has its own
vars().update(EMAIL_CONFIG)
DEFAULT_FROM_EMAIL = env.text("ERIP_DEFAULT_FROM_EMAIL", "erip@localhost", "The sender of e-mail.")

# --- Who has access ------------------------------------------------------------------------------------
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "/static/"
STATIC_ROOT = Path(
    env.text(
        "ERIP_STATIC_ROOT",
        str(ERIP_STATE_DIR / "static"),
        "Where `collectstatic` puts files.",
        shown="<state directory>/static",
    )
)
# Serves what the installed apps ship without a collectstatic step, so there need be no such directory.
WHITENOISE_USE_FINDERS = True
warnings.filterwarnings("ignore", message="No directory at", module="django.core.handlers.base")

# --- Logs: structured, without secrets ------------------------------------------------------------------
ERIP_LOG_LEVEL = env.text(
    "ERIP_LOG_LEVEL",
    "INFO",
    "The least level that is logged: DEBUG, INFO, WARNING, ERROR or CRITICAL. Logs are JSON lines on stderr.",
    form=log_level,
).upper()
from .logs import LOGGING, configure_structlog  # noqa: E402

# It believes any header that names an address; `erip.foundation.http.tracing` does not.
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False

LOGGING["root"]["level"] = ERIP_LOG_LEVEL
configure_structlog()

declared.check()
