"""Values in files of one directory, ERIP_SECRETS_DIRECTORY, as Kubernetes and Docker mount them.

A file is read each time it is needed, so a changed one is in force at once. One line end at its end is no part of the
value. A reference is a file's name: no path leads out of the directory.
"""

import re
from pathlib import Path
from typing import Final

from django.conf import settings

from workflows.secrets.models import Secret
from workflows.secrets.providers.errors import NotThere
from workflows.secrets.values import LONGEST

_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}")


def fault(reference: str) -> str | None:
    return None if _NAME.fullmatch(reference) else "is the name of a file: letters, digits, ., _ and -"


def read(secret: Secret) -> str:
    directory: str = settings.ERIP_SECRETS_DIRECTORY
    if not directory:
        raise NotThere(f'the secret "{secret.name}" is in a file, but this worker has no ERIP_SECRETS_DIRECTORY')
    name = secret.reference or secret.name
    if fault(name):
        raise NotThere(f'the secret "{secret.name}" cannot be in a file of that name')
    try:
        with (Path(directory) / name).open("rb") as file:
            data = file.read(LONGEST + 3)
    except OSError as error:
        raise NotThere(f'the file of the secret "{secret.name}" cannot be read: {type(error).__name__}') from None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise NotThere(f'the file of the secret "{secret.name}" is not UTF-8 text') from None
    return text.removesuffix("\n").removesuffix("\r")
