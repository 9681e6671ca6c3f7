"""Loads structlog without Rich. A program imports this before anything that imports structlog.

structlog loads Rich, and Rich loads Pygments, wherever they are installed: 80 modules and 4 MB for coloured tracebacks,
which no process of the platform prints. Rich itself is used by `erip.ops.stack` and the benchmarks, and stays usable.
"""

from erip.foundation.without import without

with without("rich"):
    import structlog  # noqa: F401
