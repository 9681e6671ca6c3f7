"""Settings of web processes, which `erip.gunicorn` reads before Django is there, and of HTTPS."""

from .declared import Declarations

_env = Declarations("Web processes")

ERIP_WEB_WORKERS = _env.whole(
    "ERIP_WEB_WORKERS", 2, "Web processes of one gunicorn.", unit="processes", least=1, most=1000
)
ERIP_WEB_BIND = _env.text(
    "ERIP_WEB_BIND",
    "127.0.0.1:8000",
    "Where the web processes listen, HOST:PORT; gunicorn's `--bind` goes before it.",
)
ERIP_WEB_CERTIFICATE = _env.text(
    "ERIP_WEB_CERTIFICATE",
    "",
    "PEM file with certificate and key: a web process speaks TLS 1.3 alone ([between HAProxy and the web processes](../how-to/high-availability.md#between-haproxy-and-the-web-processes)).",
)
ERIP_WEB_CLIENT_CA = _env.text(
    "ERIP_WEB_CLIENT_CA", "", "PEM file of the authority of those who may connect to a web process with TLS."
)
ERIP_DRAIN_SECONDS = _env.number(
    "ERIP_DRAIN_SECONDS", 5.0, "Seconds that a web process waits before it closes its door.", least=0, most=3600
)
ERIP_WEB_GRACE_SECONDS = _env.number(
    "ERIP_WEB_GRACE_SECONDS", 20.0, "Seconds that a web process gives its requests to end.", above=0, most=3600
)
ERIP_SSL_REDIRECT = _env.flag("ERIP_SSL_REDIRECT", True, "Production only: whether browsers are sent to HTTPS.")
ERIP_HSTS_SECONDS = _env.whole(
    "ERIP_HSTS_SECONDS", 31_536_000, "Production only: how long browsers remember HTTPS.", least=0, most=2**31 - 1
)
