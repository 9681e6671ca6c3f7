"""What this process counts of the errors that it grouped: rules can fire on it."""

from prometheus_client import Counter

from monitoring.store import Kept
from monitoring.usage import REGISTRY as REGISTRY

ERRORS = Counter("erip_errors", "Errors that were grouped, by `source`.", ["source"], registry=REGISTRY)
NEW = Counter("erip_error_groups_new", "Groups that were made, by `source`.", ["source"], registry=REGISTRY)
REGRESSIONS = Counter(
    "erip_error_regressions", "Resolved groups that were seen again, by `source`.", ["source"], registry=REGISTRY
)


def count(kept: Kept) -> None:
    """Once it is committed."""
    for counter, by_source in ((ERRORS, kept.errors), (NEW, kept.new), (REGRESSIONS, kept.regressions)):
        for source, number in by_source.items():
            counter.labels(source=str(source)).inc(number)
