"""What ERIP keeps of a person and of a group, and what it says of itself. Each attribute that is not here is dropped:
it would be personal data without a purpose."""

from typing import Annotated, Any
from unicodedata import category

from pydantic import AfterValidator, Field, StringConstraints
from scim2_models import (
    URN,
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ComplexAttribute,
    ETag,
    Filter,
    Mutability,
    Patch,
    Reference,
    Required,
    Resource,
    ResourceType,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)

#: characters of a name, as Django's tables have them
LONGEST_NAME = 150
LONGEST_EXTERNAL_ID = 255
#: e-mail addresses of one person
MOST_ADDRESSES = 20
#: members of one group; resources of one page
MOST_MEMBERS = 5_000
MOST_RESULTS = 200


def _storable(text: str) -> str:
    if any(category(letter) in ("Cc", "Cs") for letter in text):
        raise ValueError("must not hold control characters")
    return text


Text = Annotated[str, StringConstraints(max_length=LONGEST_NAME), AfterValidator(_storable)]
TeamName = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME), AfterValidator(_storable)]
# Not pydantic's EmailStr: that writes the domain in its own way, and what is read back must be what was sent.
Address = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^\s@]+@[^\s@]+$"), AfterValidator(_storable)]
ExternalId = Annotated[str, StringConstraints(max_length=LONGEST_EXTERNAL_ID), AfterValidator(_storable)]


class Name(ComplexAttribute):
    """The parts of a person's name."""

    formatted: Text | None = Field(None, description="The whole name, as it is shown.")
    family_name: Text | None = Field(None, description="The family name.")
    given_name: Text | None = Field(None, description="The given name.")


class Email(ComplexAttribute):
    """An e-mail address."""

    value: Address | None = Field(None, description="The address.")
    type: Text | None = Field(None, description="What it is for.", examples=["work", "home", "other"])
    primary: bool | None = Field(None, description="Whether ERIP writes to this one.")


class Membership(ComplexAttribute):
    """A group of a person."""

    value: Annotated[str | None, Mutability.read_only, CaseExact.true] = Field(None, description="The group's id.")
    ref: Annotated[Reference["Group"] | None, Mutability.read_only] = Field(
        None, serialization_alias="$ref", validation_alias="$ref", description="The group's address."
    )
    display: Annotated[str | None, Mutability.read_only] = Field(None, description="The group's name.")


class User(Resource[Any]):
    """A person who may sign in."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    external_id: Annotated[ExternalId | None, CaseExact.true] = Field(
        None, description="What the identity provider calls it."
    )
    # The audit log, approvals and grants know a person by it.
    user_name: Annotated[Text | None, Uniqueness.server, Required.true, Mutability.immutable] = Field(
        None, description="The name to sign in with. It stays with the person."
    )
    name: Name | None = Field(None, description="The person's name.")
    display_name: Text | None = Field(None, description="The name that is shown.")
    active: bool | None = Field(None, description="Whether the person may come in. True if nothing is said.")
    emails: list[Email] | None = Field(None, max_length=MOST_ADDRESSES, description="E-mail addresses.")
    groups: Annotated[list[Membership] | None, Mutability.read_only] = Field(
        None, description="The groups that the identity provider put the person into."
    )


class Member(ComplexAttribute):
    """A person in a group."""

    value: Annotated[str | None, Mutability.immutable, CaseExact.true] = Field(None, description="The person's id.")
    ref: Annotated[Reference["User"] | None, Mutability.immutable] = Field(
        None,
        serialization_alias="$ref",
        validation_alias="$ref",
        description="The person's address, in place of the id.",
    )
    type: Annotated[str | None, Mutability.immutable] = Field(
        None, examples=["User"], description="Always User: a group holds people."
    )


class Group(Resource[Any]):
    """A group of people. What it may do is granted in ERIP."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:Group")

    external_id: Annotated[ExternalId | None, CaseExact.true] = Field(
        None, description="What the identity provider calls it."
    )
    display_name: Annotated[TeamName | None, Required.true, Uniqueness.server] = Field(
        None, description="The group's name, which no other group has."
    )
    members: list[Member] | None = Field(None, max_length=MOST_MEMBERS, description="The people in it.")


CONFIG = ServiceProviderConfig(
    patch=Patch(supported=True),
    bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
    filter=Filter(supported=True, max_results=MOST_RESULTS),
    change_password=ChangePassword(supported=False),
    sort=Sort(supported=False),
    etag=ETag(supported=True),
    authentication_schemes=[
        AuthenticationScheme(
            type=AuthenticationScheme.Type.oauthbearertoken,
            name="API key",
            description="An API key of ERIP whose role is `provisioner`.",
            primary=True,
        )
    ],
)

PROVIDER = ScimProvider(
    models=[User, Group],
    resource_types=[ResourceType.from_resource(User), ResourceType.from_resource(Group)],
    config=CONFIG,
    policy=ScimPolicy(
        # Okta and Entra ID send what their administrators have mapped; what ERIP does not keep must not stop the rest.
        unknown=ScimPolicy.Unknown.ignore,
        # Both as Entra ID sends them.
        remove_value_as_filter=ScimPolicy.RemoveValue.apply,
        unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
    ),
)
