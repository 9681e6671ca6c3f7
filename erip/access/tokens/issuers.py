"""The issuers whose tokens open something, and whom their subjects are here: ERIP_TOKEN_ISSUERS, as it is read."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal

from django.conf import settings
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

#: only those whose signer has a key that we do not have: a shared secret would let everybody who checks sign, too
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_STRICT: Final = ConfigDict(extra="forbid", frozen=True, str_max_length=2_000)


class BadIssuers(ValueError):
    """The setting cannot be used. faults: everything that is wrong with it, with its place."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = list(faults)


class Rule(BaseModel):
    """Who a token is here.

    match: claims that it must have, by name; a claim that is a list must hold the value
    name: it is recorded as `token:<name>`
    roles: built-in and own ones; space: "" is everything
    """

    model_config = _STRICT

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$")
    match: dict[str, str] = Field(min_length=1)
    roles: tuple[str, ...] = Field(min_length=1)
    space: str = ""

    def fits(self, claims: Mapping[str, Any]) -> bool:
        return all(_has(claims.get(name), value) for name, value in self.match.items())


class Issuer(BaseModel):
    """One issuer.

    issuer: exactly as tokens name it (`iss`)
    audience: what tokens for this platform name (`aud`)
    jwks: where its keys are; by default what `/.well-known/openid-configuration` beneath the issuer says
    algorithms: those that it signs with
    longest_seconds: how long a token may be good for; leeway_seconds: by how much clocks may differ
    """

    model_config = _STRICT

    issuer: str = Field(min_length=1)
    audience: str = Field(min_length=1)
    jwks: str = ""
    algorithms: tuple[Algorithm, ...] = ("RS256", "ES256")
    longest_seconds: int = Field(default=86_400, ge=60, le=604_800)
    leeway_seconds: int = Field(default=30, ge=0, le=300)
    rules: tuple[Rule, ...] = Field(min_length=1)

    @field_validator("issuer", "jwks")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        if value and not value.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
            raise ValueError("must be https://, as whoever answers in its place could sign for everybody")
        return value

    @model_validator(mode="after")
    def _signs(self) -> "Issuer":
        if not self.algorithms:
            raise ValueError("algorithms: must name at least one")
        return self

    def rule_for(self, claims: Mapping[str, Any]) -> Rule | None:
        """The first that fits."""
        return next((rule for rule in self.rules if rule.fits(claims)), None)


def configured() -> Mapping[str, Issuer]:
    """By name. Raises BadIssuers."""
    return _read(settings.ERIP_TOKEN_ISSUERS)


@lru_cache(maxsize=4)
def _read(text: str) -> Mapping[str, Issuer]:
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadIssuers([f"is no JSON: {error}"]) from error
    if not isinstance(found, list):
        raise BadIssuers(["must be a list of issuers"])
    faults: list[str] = []
    issuers: dict[str, Issuer] = {}
    for place, each in enumerate(found):
        try:
            one = Issuer.model_validate(each)
        except ValidationError as error:
            faults += [f"[{place}].{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
            continue
        if one.issuer in issuers:
            faults.append(f"[{place}].issuer: is there twice")
        issuers[one.issuer] = one
    names = [rule.name for one in issuers.values() for rule in one.rules]
    faults += [f"the name {name} is there twice" for name in sorted({name for name in names if names.count(name) > 1})]
    if faults:
        raise BadIssuers(faults)
    return issuers


def _has(claim: Any, value: str) -> bool:
    return value in claim if isinstance(claim, list) else isinstance(claim, str) and claim == value
