"""Values in the row itself, each encrypted with a data key of its own (Note [Envelopes] in `keyring`)."""

from erip.foundation import keyring
from erip.foundation.errors import EripError
from workflows.secrets.models import Secret
from workflows.secrets.providers.errors import NotReached, NotThere


def fault(reference: str) -> str | None:
    return "is not given with the provider `database`: the value is in the row" if reference else None


def read(secret: Secret) -> str:
    if secret.value is None or secret.data_key is None:
        raise NotThere(f'the secret "{secret.name}" has no value')
    wrapped = keyring.Wrapped(secret.wrapped_by, bytes(secret.data_key))
    try:
        key = keyring.unwrap(wrapped, about=_about(secret.name))
        return keyring.decrypt(key, bytes(secret.value), about=_about(secret.name)).decode()
    except (keyring.KeyMissing, keyring.KeysInvalid) as error:
        # Whoever rotates keys may reach this worker last.
        raise NotReached(f'the secret "{secret.name}" cannot be decrypted: {error.message}') from None
    except EripError as error:
        raise NotThere(f'the secret "{secret.name}" cannot be decrypted: {error.message}') from None


def seal(secret: Secret, value: str) -> None:
    """Put the value into the row, which the caller saves. Raises KeysInvalid."""
    key = keyring.new_key()
    wrapped = keyring.wrap(key, about=_about(secret.name))
    secret.value = keyring.encrypt(key, value.encode(), about=_about(secret.name))
    secret.data_key, secret.wrapped_by = wrapped.key, wrapped.by


def wrap_anew(secret: Secret) -> None:
    """Wrap the row's data key with the key that is in force; the caller saves it. Raises KeysInvalid, KeyMissing,
    NotDecrypted."""
    assert secret.data_key is not None  # the caller has looked
    key = keyring.unwrap(keyring.Wrapped(secret.wrapped_by, bytes(secret.data_key)), about=_about(secret.name))
    wrapped = keyring.wrap(key, about=_about(secret.name))
    secret.data_key, secret.wrapped_by = wrapped.key, wrapped.by


def _about(name: str) -> str:
    return f"secret {name}"
