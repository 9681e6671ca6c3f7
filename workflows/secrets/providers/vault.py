"""Values in HashiCorp Vault, in its KV engine version 2 (https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2).

A reference is `path#key`; without `#key` the key is `value`. The worker signs in with the token in
ERIP_VAULT_TOKEN_FILE, which a Vault agent renews, and which is read each time; else with ERIP_VAULT_TOKEN. What Vault
answers is kept for CACHED seconds in the worker's memory, so a thousand steps a second do not ask it a thousand times.
"""

import re
from pathlib import Path
from threading import Lock
from typing import Any, Final

from cachetools import TTLCache
from django.conf import settings

from workflows.secrets.models import Secret
from workflows.secrets.providers.errors import NotReached, NotThere

#: seconds
CACHED: Final = 5.0
TIMEOUT: Final = 5.0
_REFERENCE: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_./-]{0,399}(#[A-Za-z0-9_.-]{1,80})?")

_answers: TTLCache[tuple[str, str, str], Any] = TTLCache(maxsize=256, ttl=CACHED)
_lock = Lock()


def fault(reference: str) -> str | None:
    path = reference.partition("#")[0]
    if _REFERENCE.fullmatch(reference) and not {"", ".", ".."} & set(path.split("/")):
        return None
    return "is path#key: where Vault has it, without the engine's mount, such as billing/stripe#token"


def read(secret: Secret) -> str:
    path, _, key = (secret.reference or secret.name).partition("#")
    url: str = settings.ERIP_VAULT_URL
    if not url:
        raise NotThere(f'the secret "{secret.name}" is in Vault, but this worker has no ERIP_VAULT_URL')
    value = _data(url, settings.ERIP_VAULT_MOUNT, path, secret.name).get(key or "value")
    if not isinstance(value, str):
        raise NotThere(f'Vault has no text "{key or "value"}" at the path of the secret "{secret.name}"')
    return value


def _data(url: str, mount: str, path: str, name: str) -> dict[str, Any]:
    with _lock:
        known = _answers.get((url, mount, path))
    if known is not None:
        return known  # type: ignore[no-any-return]
    # Where nobody has a Vault, no process loads this.
    import hvac
    import requests
    from hvac import exceptions

    try:
        client = hvac.Client(url=url, token=_token(), namespace=settings.ERIP_VAULT_NAMESPACE or None, timeout=TIMEOUT)
        answer = client.secrets.kv.v2.read_secret_version(path=path, mount_point=mount, raise_on_deleted_version=True)
        data = answer["data"]["data"]
    except exceptions.InvalidPath:
        raise NotThere(f'Vault has nothing at the path of the secret "{name}"') from None
    except exceptions.Forbidden:
        # A token that has just run out is replaced by the agent.
        raise NotReached(f'Vault does not let this worker read the secret "{name}"') from None
    except (exceptions.VaultError, requests.RequestException, OSError) as error:
        raise NotReached(f'Vault cannot be asked for the secret "{name}": {type(error).__name__}') from None
    except (KeyError, TypeError, ValueError):
        raise NotThere(f'Vault answered something else when it was asked for the secret "{name}"') from None
    if not isinstance(data, dict):
        raise NotThere(f'Vault has nothing at the path of the secret "{name}"')
    with _lock:
        _answers[url, mount, path] = data
    return data


def forget() -> None:
    """Ask again next time."""
    with _lock:
        _answers.clear()


def _token() -> str:
    file: str = settings.ERIP_VAULT_TOKEN_FILE
    return Path(file).read_text().strip() if file else settings.ERIP_VAULT_TOKEN
