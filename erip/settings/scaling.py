"""Settings of the autoscaler: docs/how-to/autoscaling.md says what they do."""

from .declared import Declarations

_env = Declarations("Autoscaling")

ERIP_AUTOSCALE_MIN = _env.whole(
    "ERIP_AUTOSCALE_MIN",
    2,
    "Workers at the least ([autoscaling](../how-to/autoscaling.md#settings)).",
    unit="workers",
    least=0,
    most=10_000,
)
ERIP_AUTOSCALE_MAX = _env.whole("ERIP_AUTOSCALE_MAX", 50, "Workers at the most.", unit="workers", least=1, most=10_000)
ERIP_AUTOSCALE_UP_COOLDOWN_SECONDS = _env.number(
    "ERIP_AUTOSCALE_UP_COOLDOWN_SECONDS",
    30.0,
    "Seconds after a change before workers are added again.",
    least=0,
    most=86_400,
)
ERIP_AUTOSCALE_DOWN_COOLDOWN_SECONDS = _env.number(
    "ERIP_AUTOSCALE_DOWN_COOLDOWN_SECONDS",
    60.0,
    "Seconds after a change before workers are taken away.",
    least=0,
    most=86_400,
)
ERIP_AUTOSCALE_CPU_TARGET = _env.number(
    "ERIP_AUTOSCALE_CPU_TARGET",
    0.70,
    "The share of the processors that workers should use.",
    unit="share",
    above=0,
    most=1,
)
ERIP_AUTOSCALE_MEMORY_TARGET = _env.number(
    "ERIP_AUTOSCALE_MEMORY_TARGET",
    0.80,
    "The share of the memory that workers should use.",
    unit="share",
    above=0,
    most=1,
)
ERIP_AUTOSCALE_EVERY_SECONDS = _env.number(
    "ERIP_AUTOSCALE_EVERY_SECONDS", 5.0, "Seconds between two decisions.", above=0, most=3600
)
