"""The identity providers at which people sign in: ERIP_SIGN_IN_PROVIDERS, as it is read."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from django.conf import settings
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from ...tokens.issuers import Algorithm

_STRICT: Final = ConfigDict(extra="forbid", frozen=True, str_max_length=2_000)
_LOCAL: Final = ("http://127.0.0.1:", "http://localhost:")
_SETTING: Final = "ERIP_SIGN_IN_PROVIDERS"
#: bytes of a file with a secret, or with certificates
_LARGEST: Final = 65_536


class BadProviders(ValueError):
    """The setting cannot be used. faults: everything that is wrong with it, with its place."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = list(faults)


class GroupRole(BaseModel):
    """Who is in this group has this role, on everything or in a space. role: a built-in or an own one."""

    model_config = _STRICT

    group: str = Field(min_length=1, max_length=500)
    role: str = Field(min_length=1, max_length=63)
    space: str = Field(default="", max_length=63)


class SecondFactor(BaseModel):
    """What the provider says of somebody who showed it a second factor that counts here, too. Empty: nothing counts.

    amr: one of these methods is among those that it names (RFC 8176); acr: it names one of these levels, or of SAML
    one of these classes
    """

    model_config = _STRICT

    amr: tuple[str, ...] = ()
    acr: tuple[str, ...] = ()

    def is_shown(self, *, amr: frozenset[str] = frozenset(), acr: frozenset[str] = frozenset()) -> bool:
        return not amr.isdisjoint(self.amr) or not acr.isdisjoint(self.acr)

    @property
    def counts(self) -> bool:
        return bool(self.amr or self.acr)


class _Provider(BaseModel):
    """What both protocols have.

    name: in addresses and records; title: on the button
    create: whether somebody who has no account here gets one
    provisioned: an account that SCIM brought is opened by whoever shows its `userName` as their username, or its
    `externalId` as their subject. "": by neither
    username, email, full_name, groups: the claims, or attributes, with them
    roles: what groups are given
    keep_roles_hours: how long roles count without another sign-in
    leeway_seconds: by how much clocks may differ
    """

    model_config = _STRICT

    name: str = Field(pattern=r"^[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?$")
    title: str = Field(min_length=1, max_length=60)
    create: bool = False
    provisioned: Literal["", "userName", "externalId"] = ""
    email: str = "email"
    full_name: str = "name"
    groups: str = "groups"
    roles: tuple[GroupRole, ...] = ()
    second_factor: SecondFactor = SecondFactor()
    keep_roles_hours: int = Field(default=168, ge=1, le=8_760)
    leeway_seconds: int = Field(default=30, ge=0, le=300)


class OidcProvider(_Provider):
    """A provider that speaks OpenID Connect.

    issuer: exactly as its tokens name it (`iss`); its addresses are found beneath it
    client_secret_file: read at each sign-in; "" is a public client, which PKCE alone protects
    """

    protocol: Literal["oidc"]
    issuer: str = Field(min_length=1, max_length=500)
    client_id: str = Field(min_length=1)
    client_secret_file: str = ""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    algorithms: tuple[Algorithm, ...] = Field(default=("RS256", "ES256"), min_length=1)
    username: str = "preferred_username"

    @field_validator("issuer")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        return is_safe(value)

    @field_validator("scopes")
    @classmethod
    def _has_openid(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in value:
            raise ValueError("must have openid, or there is no ID token")
        return value

    @property
    def jwks(self) -> str:
        """Where its keys are: its document says so."""
        return ""

    def client_secret(self) -> str:
        """Raises OSError, ValueError."""
        return read_file(self.client_secret_file) if self.client_secret_file else ""


class SamlProvider(_Provider):
    """A provider that speaks SAML 2.0.

    entity_id: exactly as its assertions name it (`Issuer`); sign_on: its address for our requests, by redirect
    certificates_file: PEM, with those by which it signs now and next; read at each sign-in
    username: the attribute; "" is the subject. subject: an attribute in place of the NameID
    us: how the provider names the platform (audience); "" is the address of its metadata
    """

    protocol: Literal["saml"]
    entity_id: str = Field(min_length=1, max_length=500)
    sign_on: str = Field(min_length=1)
    certificates_file: str = Field(min_length=1)
    username: str = ""
    subject: str = ""
    us: str = ""

    @field_validator("sign_on")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        return is_safe(value)

    @property
    def issuer(self) -> str:
        return self.entity_id

    def certificates(self) -> str:
        """Raises OSError, ValueError."""
        return read_file(self.certificates_file)


Provider = Annotated[OidcProvider | SamlProvider, Field(discriminator="protocol")]
_ONE: Final[TypeAdapter[Any]] = TypeAdapter(Provider)


def is_safe(address: str) -> str:
    """Raises ValueError."""
    if not address.startswith(("https://", *_LOCAL)):
        raise ValueError("must be https://, as whoever answers in its place could sign for everybody")
    return address


def read_file(path: str) -> str:
    """Raises OSError, ValueError."""
    with Path(path).open("rb") as file:
        found = file.read(_LARGEST + 1)
    if not found.strip() or len(found) > _LARGEST:
        raise ValueError(f"is empty, or larger than {_LARGEST} bytes")
    return found.decode().strip()


def configured() -> Mapping[str, Any]:
    """By name, in the order of the setting. Raises BadProviders."""
    return _read(str(getattr(settings, _SETTING)))


@lru_cache(maxsize=4)
def _read(given: str) -> Mapping[str, Any]:
    if not given.strip():
        return {}
    try:
        found = json.loads(given)
    except (ValueError, RecursionError) as error:
        raise BadProviders([f"is no JSON: {error}"]) from error
    if not isinstance(found, list):
        raise BadProviders(["must be a list of providers"])
    faults: list[str] = []
    providers: dict[str, Any] = {}
    issuers: set[str] = set()
    for place, each in enumerate(found):
        try:
            one = _ONE.validate_python(each)
        except ValidationError as error:
            faults += [f"[{place}].{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
            continue
        if one.name in providers:
            faults.append(f"[{place}].name: is there twice")
        # Who somebody is follows from the issuer and the subject: two with the same issuer could speak of the same.
        if one.issuer in issuers:
            faults.append(f"[{place}].issuer: is there twice")
        providers[one.name] = one
        issuers.add(one.issuer)
    if faults:
        raise BadProviders(faults)
    return providers
