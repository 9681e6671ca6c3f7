from collections.abc import Iterator
from typing import Any

import pytest
from django.http import QueryDict
from django.test import RequestFactory

from console import pages
from erip.access.principals import Principal

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_rendered() -> Iterator[None]:
    pages.forget_rendered()
    yield
    pages.forget_rendered()


def parts(who: str, waits: list[tuple[str, ...]]) -> str:
    """The live part of a page for one of two viewers with the same rights. waits: what waits for them, at each look."""
    looks = iter(waits)

    def own(_: Principal) -> tuple[str, ...]:
        return next(looks)

    def view(query: QueryDict, viewer: Principal) -> pages.Page:
        needs: list[Any] = [{"title": one, "url": "/", "urgent": False} for one in own(viewer)]
        return pages.Page("console/home.html", {"needs": needs})

    request = RequestFactory().get("/console/", {"part": "live"})
    viewer = Principal(f"user:{who}", superuser=True)
    return pages._parts(request, view, QueryDict(), viewer, {}, "", own).content.decode()


def test_what_came_while_a_part_was_rendered_is_shown_to_nobody_else() -> None:
    assert "of ada alone" in parts("ada", [(), ("of ada alone",), ("of ada alone",)])
    assert "of ada alone" not in parts("ben", [(), (), ()])


def test_a_part_is_rendered_once_for_all_for_whom_the_same_waits() -> None:
    assert "the same" in parts("ada", [("the same",)] * 3)
    assert "the same" in parts("ben", [("the same",)])
