"""What all documents of the API have in common."""

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

T = TypeVar("T")

#: any JSON value
Json = Any


class Document(BaseModel):
    """A document of the API. It cannot be changed. Fields that this release does not know are kept (`model_extra`)."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=(), defer_build=True)


class Page(Document, Generic[T]):
    """A page of a list. `next_cursor` is handed in as `cursor` to read the next one; None: this is the last."""

    items: list[T]
    next_cursor: str | int | None = None


class Listing(Document, Generic[T]):
    """A list that comes in one piece."""

    items: list[T]
