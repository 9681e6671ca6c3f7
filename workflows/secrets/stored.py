"""Storing, listing and reading secrets: all that changes their table."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from erip.access.models import Space
from erip.audit.operation import describe
from erip.foundation import keyring
from erip.foundation.db.retry import retry_transaction
from erip.foundation.db.turns import take_turn
from erip.foundation.faults import Fault
from workflows.errors import StepError
from workflows.secrets import providers, values
from workflows.secrets.errors import SecretInvalid, UnknownSecret
from workflows.secrets.models import Provider, Secret
from workflows.secrets.providers import database
from workflows.secrets.providers.errors import NotThere

NAME: Final = r"[a-z][a-z0-9_]{0,62}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be stored. value: None leaves the one that is there. "" in `spaces` stands for workflows without a
    space."""

    provider: str
    reference: str = ""
    value: str | None = None
    spaces: Sequence[str] = ()
    everywhere: bool = False
    description: str = ""


def faults_of(name: str, wanted: Wanted, before: Secret | None) -> list[Fault]:
    """All that is wrong; nothing quotes the value."""
    found: list[Fault] = []
    if not re.fullmatch(NAME, name):
        found.append(Fault("name", "is of lower-case letters, digits and _, begins with a letter, and has at most 63"))
    provider = providers.ALL.get(wanted.provider)
    if provider is None:
        found.append(Fault("provider", f"is one of {', '.join(Provider.values)}"))
    elif wanted.reference and (wrong := provider.fault(wanted.reference)):
        found.append(Fault("reference", wrong))
    if wanted.provider == Provider.DATABASE:
        if wanted.value is None:
            if before is None or before.provider != Provider.DATABASE:
                found.append(Fault("value", "is required with the provider `database`"))
        elif wrong := values.fault(wanted.value):
            found.append(Fault("value", wrong))
    elif wanted.value is not None:
        found.append(Fault("value", "goes with the provider `database` alone: others have it elsewhere"))
    given = list(dict.fromkeys(wanted.spaces))
    if wanted.everywhere and given:
        found.append(Fault("spaces", "does not go with `everywhere`"))
    named = {space for space in given if space}
    missing = named - set(Space.objects.filter(name__in=named).values_list("name", flat=True)) if named else set()
    found += [Fault(f"spaces[{given.index(one)}]", "there is no such space") for one in sorted(missing)]
    return found


@retry_transaction
def put(name: str, wanted: Wanted, *, by: str) -> tuple[Secret, bool]:
    """Store a secret; whether it is new. Raises SecretInvalid, KeysInvalid."""
    with transaction.atomic():
        take_turn("secrets_secret", name)
        before = Secret.objects.select_for_update().filter(name=name).first()
        if faults := faults_of(name, wanted, before):
            raise SecretInvalid(faults=faults)
        secret = before or Secret(name=name, version=0)
        told = _told(before) if before else None
        secret.provider, secret.reference = wanted.provider, wanted.reference
        secret.spaces, secret.everywhere = sorted(set(wanted.spaces)), wanted.everywhere
        secret.description, secret.changed_by = wanted.description, by
        secret.version += 1
        secret.changed_at = Now()
        if wanted.provider != Provider.DATABASE:
            secret.value, secret.data_key, secret.wrapped_by = None, None, ""
        elif wanted.value is not None:
            database.seal(secret, wanted.value)
        secret.save()
        after = {**_told(secret), **({"value": "changed"} if wanted.value is not None else {})}
        describe(object=f"secret:{name}", before=told, after=after)
        secret.refresh_from_db(fields=["changed_at"])
    return secret, before is None


def _told(secret: Secret) -> dict[str, object]:
    """What the audit log says of it."""
    names = ("provider", "reference", "spaces", "everywhere", "description")
    return {name: getattr(secret, name) for name in names}


@retry_transaction
def delete(name: str) -> None:
    """Steps that name it fail from now on. Raises UnknownSecret."""
    with transaction.atomic():
        if not Secret.objects.filter(name=name).delete()[0]:
            raise UnknownSecret
        describe(object=f"secret:{name}")


def get(name: str) -> Secret:
    """Raises UnknownSecret."""
    found = _listed().filter(name=name).first()
    if found is None:
        raise UnknownSecret
    return found


def page(*, after: str | None = None, limit: int) -> tuple[list[Secret], str | None]:
    """Secrets by name, behind the name `after`; and the name to go on behind, if there are more than `limit`."""
    secrets_ = _listed() if after is None else _listed().filter(name__gt=after)
    found = list(secrets_.order_by("name")[: limit + 1])
    return found[:limit], found[limit - 1].name if len(found) > limit else None


def _listed() -> QuerySet[Secret]:
    return Secret.objects.defer("value", "data_key")


# --- using them


def usable(names: Collection[str], space: str) -> dict[str, Secret]:
    """Those of these secrets that workflows of this space may use. space: "" is none."""
    found = Secret.objects.filter(Q(everywhere=True) | Q(spaces__contains=[space]), name__in=names)
    return {secret.name: secret for secret in found}


def read(names: Collection[str], space: str, found: Mapping[str, Secret]) -> Mapping[str, str]:
    """The values of these secrets for a step of a workflow of this space. found: those of them that are `usable`.
    Raises NotThere, NotReached."""
    result: dict[str, str] = {}
    for name in names:
        if name not in found:
            where = f'of the space "{space}"' if space else "without a space"
            raise NotThere(f'there is no secret "{name}" that workflows {where} may use')
        result[name] = _value(found[name])
    return result


def _value(secret: Secret) -> str:
    value: str = providers.ALL[secret.provider].read(secret)
    if wrong := values.fault(value):
        raise NotThere(f'the value of the secret "{secret.name}" {wrong}')
    return value


def unreadable(secret: Secret) -> str | None:
    """Why this process cannot read the value; None: it can."""
    try:
        _value(secret)
    except StepError as error:
        return error.message
    return None


# --- rotating the key-encryption key


def wrap_anew() -> int:
    """Wrap every data key with the key that is in force; how many were not. Raises KeysInvalid, KeyMissing,
    NotDecrypted."""
    done = 0
    with transaction.atomic():
        stored = Secret.objects.select_for_update().filter(provider=Provider.DATABASE)
        for secret in stored.exclude(wrapped_by=keyring.in_force()):
            database.wrap_anew(secret)
            secret.save(update_fields=["data_key", "wrapped_by"])
            done += 1
    return done
