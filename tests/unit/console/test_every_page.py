"""No page of the console is missing where all of them are looked at."""

import re
from typing import Any

from django.test import RequestFactory
from django.urls import get_resolver, resolve

from tests.support.console_pages import ELSEWHERE, PAGES, WRONG


def patterns() -> list[Any]:
    (mounted,) = (one for one in get_resolver().url_patterns if str(one.pattern) == "console/")
    return [*mounted.url_patterns]


def test_every_address_has_a_place_where_a_browser_looks_at_it() -> None:
    names = {one.name for one in patterns()}
    assert {*PAGES, *WRONG, *ELSEWHERE} == names
    assert len(PAGES) + len(WRONG) + len(ELSEWHERE) == len(names)


def test_what_has_no_page_of_its_own_shows_nothing_to_who_asks_for_it() -> None:
    views = {one.name: one.callback for one in patterns()}
    for name in {*WRONG, *ELSEWHERE} - {"asset"}:
        assert views[name](RequestFactory().get("/")).status_code == 405, name


def test_each_place_is_the_address_that_it_stands_for() -> None:
    for name, some in PAGES.items():
        for address in some:
            path = re.sub(r"{[a-z]+}", "1", address).partition("?")[0]
            assert resolve(f"/console/{path}").url_name == name
