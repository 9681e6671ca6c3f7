"""What of Flower people may ask for, and what its pages may do in a browser."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.core.flower import is_data, is_file, place_of, policy_of

GOOD = [
    "",
    "workers",
    "tasks",
    "tasks/datatable",
    "broker",
    "worker/general@host-1.example",
    "worker/w:1+x",
    "task/0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    "static/favicon.ico",
    "static/js/flower.js",
    "static/css/bootstrap.min.css",
]
BAD = [
    "..",
    "../admin",
    "worker/..",
    "worker/../../api/tasks",
    "static/../../secrets",
    "static/..",
    "static/js/..",
    "static/.env",
    "static//etc",
    "static/",
    "worker/",
    "worker/a/b",
    "worker/a\\b",
    "worker/%2e%2e",
    "worker/a%2fb",
    "task/a?b",
    "task/a#b",
    "worker/a\n",
    "workers\n",
    "worker/a\x00",
    "worker/ä",
    "worker/a b",
    "http://elsewhere/",
    "//elsewhere/",
    "@elsewhere",
    "/workers",
    "workers/",
    "metrics",
    "healthcheck",
    "logout",
    "login",
    "api/tasks",
    "api/worker/shutdown/x",
    "worker/" + "a" * 300,
    "flower/workers",
    "worker/-x",
    "worker/.x",
]


@pytest.mark.parametrize("rest", GOOD)
def test_what_flower_has_is_asked_for_below_its_own_path(rest: str) -> None:
    assert place_of(rest, "") == f"/flower/{rest}"
    assert place_of(rest, "json=1&x=%5B0%5D") == f"/flower/{rest}?json=1&x=%5B0%5D"


@pytest.mark.parametrize("rest", BAD)
def test_nothing_else_is_asked_for(rest: str) -> None:
    assert place_of(rest, "") is None


@pytest.mark.parametrize("query", ["a b", "a\r\nX: y", "a#b", "ä", "\x00", "a" * 3001, '"', "<", "\\"])
def test_a_query_that_no_browser_sends_is_refused(query: str) -> None:
    assert place_of("workers", query) is None


@given(st.text(), st.text())
def test_whatever_is_asked_for_stays_below_the_path(rest: str, query: str) -> None:
    place = place_of(rest, query)
    if place is not None:
        path, _, asked = place.partition("?")
        assert re.fullmatch(r"/flower/[A-Za-z0-9_.@:+/-]*", path)
        assert not {"", ".", ".."} & set(path.removeprefix("/flower/").split("/")[:-1])
        assert path.rpartition("/")[2] not in (".", "..")
        assert asked.isascii()
        assert asked.isprintable()


def test_files_and_what_scripts_ask_for_are_known() -> None:
    assert [one for one in GOOD if is_file(one)] == [one for one in GOOD if one.startswith("static/")]
    assert is_data("tasks/datatable", "")
    assert is_data("workers", "json=1")
    assert not is_data("workers", "")


@pytest.mark.parametrize("host", ["erip.example.org", "127.0.0.1:8000", "[::1]:8000"])
def test_its_pages_run_their_own_files_and_ask_nobody_else(host: str) -> None:
    policy = policy_of(host)
    assert (
        policy["default-src"] == policy["form-action"] == policy["base-uri"] == policy["frame-ancestors"] == ["'none'"]
    )
    assert not {"'unsafe-inline'", "'unsafe-eval'"} & set(policy["script-src"])
    if not host.startswith("["):
        assert policy["script-src"][0] == f"{host}/flower/static/"
        assert policy["connect-src"] == [f"{host}/flower/"]
        assert "'self'" not in {one for sources in policy.values() for one in sources}
