"""What is left of keys that were destroyed: in copies of the database from before, wrapped.

A copy holds the key of an erased person under a key-encryption key. Which one depends on the copy's age, so a
certificate names all that unwrapped where it was issued. None of them left, nothing opens what the copies hold.
"""

from collections import Counter
from typing import Any

from erip.foundation import keyring
from workflows.privacy.models import Erasure


def openers() -> list[str] | None:
    """The key-encryption keys that unwrap here, by name; None if they cannot be read: that stops no erasure."""
    try:
        return keyring.names()
    except keyring.KeysInvalid:
        return None


def told() -> dict[str, Any]:
    """How many erasures of persons a copy of the database from before could undo. Raises KeysInvalid.

    openable: by the name of each key-encryption key that is here: erasures whose copies it may open
    final: erasures of whose key-encryption keys none is here; what others have is not seen
    unknown: certificates that do not say (of earlier releases, or the keys could not be read)
    """
    here = set(keyring.names())
    openable = Counter[str]()
    final = unknown = 0
    of_persons = Erasure.objects.filter(certificate__has_key="person").values_list("certificate", flat=True)
    for certificate in of_persons.iterator():
        named = certificate.get("key_encryption_keys")
        if named is None:
            unknown += 1
        elif left := here.intersection(named):
            openable.update(left)
        else:
            final += 1
    return {"openable": dict(sorted(openable.items())), "final": final, "unknown": unknown}
