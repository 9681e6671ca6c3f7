"""Values in the environment of the workers: ERIP_STEP_SECRET_<NAME>.

The prefix keeps whoever stores secrets from reading the platform's own variables into a step, such as DATABASE_URL.
"""

import os
import re
from typing import Final

from workflows.secrets.models import Secret
from workflows.secrets.providers.errors import NotThere

PREFIX: Final = "ERIP_STEP_SECRET_"
_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,200}")


def fault(reference: str) -> str | None:
    if _NAME.fullmatch(reference):
        return None
    return f"is the end of a variable's name, after {PREFIX}: letters, digits and _"


def read(secret: Secret) -> str:
    name = PREFIX + (secret.reference or secret.name).upper()
    value = os.environ.get(name)
    if value is None:
        raise NotThere(f'the secret "{secret.name}" is not in the environment of this worker, as {name}')
    return value
