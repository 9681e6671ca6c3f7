"""What every environment shares. Every variable read here stands in the README's settings table."""

import warnings
from pathlib import Path

import environ

from erip.foundation.process.broker import publisher_options, transport_options

from .admin import *
from .celery import *
from .database import *
from .door import *
from .events import *
from .health import *
from .rest import *
from .scaling import *

BASE_DIR = Path(__file__).resolve().parent.parent.parent
env = environ.Env()

ERIP_STATE_DIR = Path(env.str("ERIP_STATE_DIR", str(BASE_DIR / ".erip")))

SECRET_KEY = env.str("ERIP_SECRET_KEY", "")
DEBUG = False
ALLOWED_HOSTS: list[str] = env.list("ERIP_ALLOWED_HOSTS", default=[])

INSTALLED_APPS = [
    *ADMIN_APPS,
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "pgtrigger",
    *REST_APPS,
    "django_structlog",
    "erip",
    "erip.ops.stack",
    "workflows",
    "workflows.library",
    "workflows.events",
    "monitoring.scaling",
]

MIDDLEWARE = [
    *REST_MIDDLEWARE,
    *DATABASE_MIDDLEWARE,
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
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
# Its settings stand in `database.py`.
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis: the accelerator -----------------------------------------------------------------------------
ERIP_BROKER_URL = env.str("ERIP_BROKER_URL", "redis://127.0.0.1:6379/0")
ERIP_SENTINEL_MASTER = env.str("ERIP_SENTINEL_MASTER", "erip")
ERIP_SENTINEL_PASSWORD = env.str("ERIP_SENTINEL_PASSWORD", "")
CELERY_BROKER_URL = ERIP_BROKER_URL
CELERY_BROKER_TRANSPORT_OPTIONS = transport_options(
    ERIP_BROKER_URL, master=ERIP_SENTINEL_MASTER, sentinel_password=ERIP_SENTINEL_PASSWORD
)
ERIP_PUBLISHER_TRANSPORT_OPTIONS = publisher_options(CELERY_BROKER_TRANSPORT_OPTIONS)

# --- The engine -----------------------------------------------------------------------------------------
ERIP_WORKER_THREADS = env.int("ERIP_WORKER_THREADS", 16)
# Added to the niceness of a general worker's threads but its consumer's: Note [Who gives way] in workflows/events.
ERIP_WORKER_NICE = env.int("ERIP_WORKER_NICE", 0)
ERIP_HEARTBEAT_SECONDS = env.float("ERIP_HEARTBEAT_SECONDS", 0.5)
ERIP_LEASE_SECONDS = env.float("ERIP_LEASE_SECONDS", 3.0)
ERIP_STALE_READY_SECONDS = env.float("ERIP_STALE_READY_SECONDS", 1.0)
ERIP_SHUTDOWN_GRACE_SECONDS = env.float("ERIP_SHUTDOWN_GRACE_SECONDS", 20.0)
ERIP_MAX_LOST_ATTEMPTS = env.int("ERIP_MAX_LOST_ATTEMPTS", 5)
# Those that are not named keep their default.
ERIP_LANE_BOUNDS: dict[str, float] = {
    "critical": 2.0,
    "high": 10.0,
    "standard": 30.0,
    "bulk": 60.0,
    **{
        lane: float(seconds)
        for lane, _, seconds in (pair.partition("=") for pair in env.list("ERIP_LANE_BOUNDS", default=[]))
    },
}
ERIP_AGEING_AT = env.float("ERIP_AGEING_AT", 0.5)
ERIP_ADMISSION_MIN_RATE = env.float("ERIP_ADMISSION_MIN_RATE", 350.0)
ERIP_ADMISSION_MAX_BACKLOG = env.int("ERIP_ADMISSION_MAX_BACKLOG", 100_000)
# Runs that ended are legal records: they leave the hot tables, but nothing is dropped unless somebody says so.
ERIP_ARCHIVE_AFTER_DAYS = env.float("ERIP_ARCHIVE_AFTER_DAYS", 30.0)
ERIP_KEEP_ARCHIVE_MONTHS: int | None = env.int("ERIP_KEEP_ARCHIVE_MONTHS", None)

# --- The library ----------------------------------------------------------------------------------------
ERIP_PUBLIC_URL = env.str("ERIP_PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")
ERIP_REPORT_DIR = Path(env.str("ERIP_REPORT_DIR", str(ERIP_STATE_DIR / "reports")))
ERIP_REPORT_TTL_DAYS = env.int("ERIP_REPORT_TTL_DAYS", 30)
ERIP_WEBHOOK_SECRET = env.str("ERIP_WEBHOOK_SECRET", "")
ERIP_WEBHOOK_ALLOW_PRIVATE = env.bool("ERIP_WEBHOOK_ALLOW_PRIVATE", False)

EMAIL_CONFIG = env.email_url("ERIP_EMAIL_URL", default="consolemail://")
EMAIL_TIMEOUT = 10  # a mail server that hangs must not hold a worker's thread; a URL with ?timeout= has its own
vars().update(EMAIL_CONFIG)
DEFAULT_FROM_EMAIL = env.str("ERIP_DEFAULT_FROM_EMAIL", "erip@localhost")

# --- Who may come in ------------------------------------------------------------------------------------
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
STATIC_ROOT = Path(env.str("ERIP_STATIC_ROOT", str(ERIP_STATE_DIR / "static")))
# Serves what the installed apps ship without a collectstatic step, so there need be no such directory.
WHITENOISE_USE_FINDERS = True
warnings.filterwarnings("ignore", message="No directory at", module="django.core.handlers.base")

# --- Logs: structured, without secrets ------------------------------------------------------------------
ERIP_LOG_LEVEL = env.str("ERIP_LOG_LEVEL", "INFO").upper()
from .logs import LOGGING, configure_structlog  # noqa: E402

LOGGING["root"]["level"] = ERIP_LOG_LEVEL
configure_structlog()
