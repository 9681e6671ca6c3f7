"""The spaces of alerts: Note [Spaces] in `erip.access.spaces`.

Note [Spaces of alerts]
An alert belongs to the space of the workflow that its labels name: it is judged for that workflow alone. All others are
about the platform, which all spaces share: a full disk is nobody's in particular. The same holds for metrics, health,
errors and capacity: their numbers are sums over all workflows, and what is kept by workflow folds the rarer ones into
`other`. So these are open to those alone who have their role on everything.
"""

from erip.access.spaces import kind
from erip.foundation.db.retry import retry_transaction
from monitoring.errors import NoSuchAlert
from monitoring.models import Alert
from workflows.engine.spaces import of_workflow


@kind("alert", NoSuchAlert)
@retry_transaction
def of_alert(number: str) -> str | None:
    labels = Alert.objects.filter(pk=int(number)).values_list("labels", flat=True).first()
    if labels is None:
        return None
    workflow = dict(labels).get("workflow")
    return (of_workflow(workflow) or "") if isinstance(workflow, str) else ""
