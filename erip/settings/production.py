"""For production: refuses to start without its secrets, and over plain HTTP sends browsers to HTTPS."""

import os

from django.core.exceptions import ImproperlyConfigured

from .base import *
from .declared import check

_missing = [
    name
    for name, value in {
        "ERIP_SECRET_KEY": SECRET_KEY,
        "ERIP_ALLOWED_HOSTS": ALLOWED_HOSTS,
        "DATABASE_URL": os.environ.get("DATABASE_URL", ""),
        "ERIP_BROKER_URL": os.environ.get("ERIP_BROKER_URL", ""),
        "ERIP_PUBLIC_URL": os.environ.get("ERIP_PUBLIC_URL", ""),
    }.items()
    if not value
]
if _missing:
    raise ImproperlyConfigured(f"set {', '.join(_missing)}: production has no defaults for them")
if len(SECRET_KEY) < 32:
    raise ImproperlyConfigured("ERIP_SECRET_KEY needs at least 32 characters")

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.flag("ERIP_SSL_REDIRECT", True, "Whether browsers are sent to HTTPS.")
SECURE_HSTS_SECONDS = env.whole("ERIP_HSTS_SECONDS", 31_536_000, "Seconds for which browsers remember to use HTTPS.")
SECURE_REDIRECT_EXEMPT = [r"^health/"]
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
check()
