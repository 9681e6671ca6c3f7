"""For production: refuses to start without its secrets, and over plain HTTP sends browsers to HTTPS."""

from . import declared

# Before anything is read: what is missing is named together with what is wrong.
declared.in_production()

from .base import *  # noqa: E402

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = ERIP_SSL_REDIRECT
SECURE_HSTS_SECONDS = ERIP_HSTS_SECONDS
SECURE_REDIRECT_EXEMPT = [r"^health/"]
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
