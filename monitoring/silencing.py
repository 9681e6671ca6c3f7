"""What a silence must be. The API and the console ask here, so both refuse the same."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from erip.foundation.faults import Fault, bounded
from monitoring.core.rules import is_label

#: seconds that a silence may last; labels that it may name; characters of a rule's name
MOST_SECONDS, MOST_LABELS, MOST_NAME = 30 * 86_400, 10, 63


def silence_faults(rule: str, labels: Mapping[str, str], ends: datetime, now: datetime) -> list[Fault]:
    """Everything that is wrong with a silence of alerts of this rule ("": of any) with these labels."""
    faults = []
    if not now < ends <= now + timedelta(seconds=MOST_SECONDS):
        faults.append(Fault("ends_at", "must be ahead, by 30 days at most"))
    if not rule and not labels:
        faults.append(Fault("rule", "name a rule, or labels: a silence of everything hides what nobody expects"))
    if len(rule) > MOST_NAME:
        faults.append(Fault("rule", f"has more than {MOST_NAME} characters"))
    if len(labels) > MOST_LABELS:
        faults.append(Fault("labels", f"has more than {MOST_LABELS} labels"))
    odd = sorted(name for name in labels if not is_label(name))[:10]
    faults += [Fault(bounded(f"labels.{name}"), "is no name of a label: letters, digits and _") for name in odd]
    return sorted(faults)
