"""What the project itself adds, after all apps: metrics of the database layer."""

from erip.foundation.db.metrics import REGISTRY
from erip.foundation.hooks import metrics

metrics(REGISTRY)
