"""Settings of web processes about Flower, Celery's monitor, which they show to people who have signed in."""

from .declared import Declarations
from .values import http_url

_env = Declarations("Flower")

ERIP_FLOWER_URL = _env.text(
    "ERIP_FLOWER_URL",
    "",
    "Where web processes find Flower, as `https://flower.example:5555`; they show it at `/flower/`"
    " ([Flower](../how-to/operations.md#flower)). Empty: they do not.",
    shown="made by the local stack",
    form=http_url,
)
ERIP_FLOWER_LOGIN = _env.text(
    "ERIP_FLOWER_LOGIN",
    "",
    "The `name:password` that web processes send to Flower: its FLOWER_BASIC_AUTH. Only they know it, no person.",
    shown="made by the local stack",
    secret=True,
)
ERIP_FLOWER_CA = _env.text(
    "ERIP_FLOWER_CA", "", "PEM file of the authority of Flower's certificate; empty: those of the system."
)
ERIP_FLOWER_WEB_CERTIFICATE = _env.text(
    "ERIP_FLOWER_WEB_CERTIFICATE", "", "PEM file with the certificate and key that web processes show to Flower."
)
