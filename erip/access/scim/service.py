"""The service behind /scim/v2: the protocol over the tables, with bounds on what one request may cost."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any

from django.db import transaction
from pydantic_core import from_json
from scim2_models import (
    InvalidFilterException,
    NotImplementedException,
    PatchOp,
    PayloadTooLargeException,
    Resource,
    ResourceType,
    ResponseParameters,
    SearchRequest,
    TooManyException,
)
from scim2_server.handler import ScimHandler
from scim2_server.service import ScimService
from scim2_server.storage import ScimStorage, SearchPage

from . import filters, groups, people
from .schemas import PROVIDER, Group, User

#: whom a filter is tried on that PostgreSQL cannot answer
MOST_CANDIDATES = 2_000
#: of one PATCH: its operations, the characters of their paths, and the values of one that removes
MOST_OPERATIONS = 100
LONGEST_PATHS = 8_000
MOST_REMOVED = 200


class Tables(ScimStorage):
    """People and groups in PostgreSQL."""

    def operation(self) -> AbstractContextManager[None]:
        return transaction.atomic()

    def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        # Without them it is read to be changed: it stays as it is until then, so that its version is still true.
        lock = response_parameters is None
        return (
            people.get(resource_id, lock=lock) if resource_type.name == "User" else groups.get(resource_id, lock=lock)
        )

    def search(
        self, resource_types: list[ResourceType], search_request: SearchRequest[Any], *, position: Any = None
    ) -> SearchPage:
        if len(resource_types) != 1:
            raise NotImplementedException(detail="People and groups are not searched together.")
        of_people = resource_types[0].name == "User"
        source: Any = people if of_people else groups
        condition = filters.EVERYBODY
        asked = search_request.filter
        if asked is not None:
            condition = filters.narrowed(asked, source.COLUMNS)
        rows = source.found(condition.condition)
        start, count = search_request.start_index_0 or 0, search_request.count or 0
        if asked is None or condition.exact:
            total = rows.count()
            if start >= total or not count:
                return SearchPage(total, [])
            cut = list(rows[start : start + count])
            return SearchPage(total, source.shown(cut if of_people else groups.within_bounds(cut)))
        candidates = list(rows[: MOST_CANDIDATES + 1])
        if len(candidates) > MOST_CANDIDATES or (
            not of_people and len(groups.within_bounds(candidates)) < len(candidates)
        ):
            raise TooManyException(detail="Name a userName, externalId, displayName or id with eq or sw as well.")
        fitting = [one for one in source.shown(candidates) if asked.match(one)]
        return SearchPage(len(fitting), fitting[start : start + count])

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        if isinstance(resource, User):
            return people.create(resource)
        assert isinstance(resource, Group)
        return groups.create(resource)

    # Both are called in the transaction of a `get` that has locked the row: it has the version that was expected.

    def update(
        self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None
    ) -> Resource[Any]:
        if isinstance(resource, User):
            return people.update(resource)
        assert isinstance(resource, Group)
        return groups.update(resource)

    def delete(self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None) -> None:
        if resource_type.name == "User":
            people.remove(resource_id)
        else:
            groups.remove(resource_id)


class Bounded(ScimService):
    """Refuses what would cost too much before it is looked at."""

    def read_search(self, resource_types: list[ResourceType], payload: Any) -> tuple[SearchRequest[Any], Any]:
        members = payload.items() if isinstance(payload, dict) else ()
        if any(name.lower() == "filter" and len(str(value)) > filters.LONGEST for name, value in members):
            raise InvalidFilterException(detail=f"The filter has more than {filters.LONGEST:,} characters.")
        return super().read_search(resource_types, payload)

    def read_patch(self, resource_type: ResourceType, body: bytes, content_type: str | None) -> "PatchOp[Any]":
        self.ensure_json(content_type)
        with suppress(ValueError):  # what is no JSON is refused below, with what is wrong with it
            _check_patch(from_json(body))
        return super().read_patch(resource_type, body, content_type)


def _check_patch(sent: Any) -> None:
    """Raises PayloadTooLargeException."""
    operations = [
        each
        for name, value in (sent.items() if isinstance(sent, Mapping) else ())
        if name.lower() == "operations" and isinstance(value, list)
        for each in value
    ]
    members = [
        {str(name).lower(): value for name, value in each.items()} for each in operations if isinstance(each, Mapping)
    ]
    paths = sum(len(one["path"]) for one in members if isinstance(one.get("path"), str))
    removed = [
        len(one["value"])
        for one in members
        if isinstance(one.get("value"), list) and str(one.get("op")).lower() == "remove"
    ]
    if len(operations) > MOST_OPERATIONS or paths > LONGEST_PATHS or max(removed, default=0) > MOST_REMOVED:
        raise PayloadTooLargeException(
            detail=(
                f"A PATCH may have {MOST_OPERATIONS} operations, {LONGEST_PATHS:,} characters of paths, and"
                f" {MOST_REMOVED} values to remove. Send several."
            )
        )


SERVICE = Bounded(PROVIDER)
HANDLER = ScimHandler(SERVICE, Tables())
