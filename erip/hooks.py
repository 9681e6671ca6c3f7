"""What the project itself adds, after all apps: metrics of the database layer and of requests."""

from erip.foundation.db.metrics import REGISTRY as DATABASE
from erip.foundation.hooks import metrics
from erip.foundation.http.timing import REGISTRY as REQUESTS

metrics(DATABASE)
metrics(REQUESTS)
