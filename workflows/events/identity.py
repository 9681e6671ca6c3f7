"""How an event is recognised."""

from hashlib import blake2b


def identity_of(source: str, id_: str) -> str:
    """The event's identity as it is in the journal: 32 hexadecimal digits."""
    return blake2b(f"{source}\0{id_}".encode(), digest_size=16).hexdigest()
