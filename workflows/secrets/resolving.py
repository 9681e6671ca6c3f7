"""How workers get secrets: right before a body is called (Note [Secrets] in `core/secrets`).

The space of the workflow decides anew each time. A secret that was taken away, or a workflow that was moved, is so at
once, for runs under way as well.
"""

from collections.abc import Collection, Mapping

from erip.foundation.db import retry
from workflows.core import secrets
from workflows.secrets import stored
from workflows.secrets.fitting import space_of


@secrets.resolved_by
def resolve(workflow: str, names: Collection[str]) -> Mapping[str, str]:
    # Through a failover: an attempt that has not begun has not failed.
    space, found = retry.run(lambda _: (space := space_of(workflow), stored.usable(names, space)))
    return stored.read(names, space, found)
