"""Secrets for steps: stored, listed and deleted. A value goes in and never comes out."""

from collections.abc import Sequence

from erip_client.models import Page, Secret

from .base import Call, given, to_json

_ONE = "/api/v1/secrets/{name}"


def list_secrets(*, cursor: str | None = None, limit: int | None = None) -> Call[Page[Secret]]:
    """A page of secrets, by name, without their values."""
    return Call(
        operation="listSecrets",
        method="GET",
        template="/api/v1/secrets",
        query=given(cursor=cursor, limit=limit),
        answers={200: Page[Secret]},
    )


def get_secret(name: str) -> Call[Secret]:
    """Who has a secret and who may use it."""
    return Call(operation="getSecret", method="GET", template=_ONE, path={"name": name}, answers={200: Secret})


def put_secret(
    name: str,
    provider: str,
    *,
    value: str | None = None,
    reference: str = "",
    spaces: Sequence[str] = (),
    everywhere: bool = False,
    description: str = "",
) -> Call[Secret]:
    """Store a secret. value: with the provider `database` alone; None leaves the one that is there. spaces: those whose
    workflows may use it; "" stands for workflows without a space."""
    body = {
        "provider": provider,
        "reference": reference,
        "value": value,
        "spaces": list(spaces),
        "everywhere": everywhere,
        "description": description,
    }
    return Call(
        operation="putSecret",
        method="PUT",
        template=_ONE,
        path={"name": name},
        content=to_json(body),
        answers={200: Secret, 201: Secret},
    )


def delete_secret(name: str) -> Call[None]:
    """Delete a secret: steps that name it fail from now on."""
    return Call(operation="deleteSecret", method="DELETE", template=_ONE, path={"name": name}, answers={204: None})
