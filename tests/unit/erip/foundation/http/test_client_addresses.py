"""Who is calling, behind proxies that are trusted and others."""

import asyncio
from ipaddress import ip_address

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from erip.foundation.http.addresses import TrueClient, address_group, client_address, is_trusted, resolve
from erip.settings.checks import settings_fit

PROXY, CLIENT, OTHER = "10.0.0.5", "192.0.2.7", "198.51.100.9"


@pytest.fixture(autouse=True)
def trusted(settings):
    settings.ERIP_TRUSTED_PROXIES = ["10.0.0.0/24", "fd00::/64"]


def scope(peer, *forwarded, kind="http"):
    headers = [(b"x-forwarded-for", text.encode("latin1")) for text in forwarded]
    return {"type": kind, "client": (peer, 4711) if peer else None, "headers": headers, "path": "/"}


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        (CLIENT, [], CLIENT),
        (CLIENT, [OTHER], CLIENT),  # anyone who is no proxy writes what it likes
        (PROXY, [], PROXY),
        (PROXY, [CLIENT], CLIENT),
        (PROXY, [f"{OTHER}, {CLIENT}"], CLIENT),  # the left one came with the request
        (PROXY, [OTHER, CLIENT], CLIENT),  # as HAProxy appends: a header of its own
        (PROXY, [f"{CLIENT}, 10.0.0.6"], CLIENT),  # two proxies in a row
        (PROXY, ["10.0.0.7, 10.0.0.6"], "10.0.0.7"),  # a proxy calls by itself
        (PROXY, ["nonsense"], PROXY),
        (PROXY, [f"{OTHER}, , 10.0.0.6"], "10.0.0.6"),
        (PROXY, [f"{CLIENT}:4711"], CLIENT),
        (PROXY, ["[2001:db8::1]:443"], "2001:db8::1"),
        (PROXY, ["2001:DB8::0:1"], "2001:db8::1"),
        ("::ffff:10.0.0.5", ["::ffff:192.0.2.7"], CLIENT),
        ("fd00::1%eth0", [CLIENT], CLIENT),
        ("", [CLIENT], ""),
        ("testclient", [CLIENT], ""),
    ],
)
def test_the_first_address_from_the_right_that_is_no_proxy_is_the_client(peer, forwarded, client):
    assert client_address(scope(peer, *forwarded)) == client
    request = RequestFactory().get("/", REMOTE_ADDR=peer, **({"X_FORWARDED_FOR": ""} if not forwarded else {}))
    if forwarded:
        request.META["HTTP_X_FORWARDED_FOR"] = ",".join(forwarded)
    assert client_address(request) == client


def test_by_default_nobody_is_trusted(settings):
    settings.ERIP_TRUSTED_PROXIES = []
    assert client_address(scope("127.0.0.1", CLIENT)) == "127.0.0.1"


def through_the_middleware(sent):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    asyncio.run(TrueClient(app)(sent, None, None))
    return seen[0]


def test_the_scope_that_the_application_sees_has_the_client_itself():
    seen = through_the_middleware(scope(PROXY, f"{OTHER}, {CLIENT}"))
    assert seen["client"] == (CLIENT, 0)
    assert through_the_middleware(scope(CLIENT, OTHER))["client"] == (CLIENT, 4711)
    assert through_the_middleware(scope(""))["client"] is None


def test_a_client_among_the_trusted_is_not_asked_again_whom_it_forwards_for():
    # A program on the proxy's own machine calls through it, and says that it is somebody else.
    seen = through_the_middleware(scope(PROXY, f"{OTHER}, bad, 10.0.0.6"))
    assert seen["client"] == ("10.0.0.6", 0)
    assert client_address(seen) == "10.0.0.6"


@given(peer=st.ip_addresses(), forwarded=st.lists(st.text(max_size=40), max_size=5))
def test_whatever_the_header_holds_a_stranger_is_who_it_is(peer, forwarded):
    if not is_trusted(str(peer)):
        mapped = getattr(peer, "ipv4_mapped", None) or peer
        assert resolve(str(peer), forwarded) == str(mapped)


@given(left=st.text(max_size=60), client=st.ip_addresses(v=4), peers=st.integers(0, 3))
def test_whatever_stands_left_of_the_client_changes_nothing(left, client, peers):
    if is_trusted(str(client)):
        return
    chain = [left, str(client), *[f"10.0.0.{n + 10}" for n in range(peers)]]
    assert resolve(PROXY, [",".join(chain)]) == str(client)
    assert resolve(PROXY, chain) == str(client)


def test_limits_are_counted_by_the_site_of_an_ipv6_address():
    assert address_group("2001:db8:1:2:3::4") == address_group("2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64"
    assert address_group("2001:db8:1:3::1") != address_group("2001:db8:1:2::1")
    assert address_group(CLIENT) == CLIENT
    assert address_group("nonsense") == ""
    assert ip_address(address_group("::ffff:192.0.2.7")) == ip_address(CLIENT)


def test_a_limit_that_lets_nothing_in_is_named_at_the_start(settings):
    settings.ERIP_BODY_MEMORY, settings.ERIP_STALLED = 16 * 1024 * 1024, 0
    said = [error.msg for error in settings_fit()]
    assert any(one.startswith("ERIP_BODY_MEMORY must be 33554432 or more") for one in said), said
    assert "ERIP_STALLED must be above 0." in said


def test_a_bad_network_is_named_at_the_start(settings):
    assert settings_fit() == []
    for wrong in ("10.0.0.1/24", "haproxy.local"):
        settings.ERIP_TRUSTED_PROXIES = ["10.0.0.1", wrong]
        (error,) = settings_fit()
        assert error.id == "settings.E001"
        assert f"ERIP_TRUSTED_PROXIES names {wrong!r}" in error.msg


@pytest.mark.parametrize(
    ("proxies", "peer", "believed"),
    [
        (["10.0.0.0/24"], PROXY, True),
        (["10.0.0.0/24"], OTHER, False),
        (["10.0.0.0/24"], None, False),
        ([], OTHER, True),  # nobody said who is a proxy
    ],
)
def test_proxies_alone_say_that_a_request_came_over_tls(settings, proxies, peer, believed):
    settings.ERIP_TRUSTED_PROXIES = proxies
    seen = {}

    async def app(scope, receive, send):
        seen.update(scope)

    sent = scope(peer, CLIENT)
    sent["headers"].append((b"x-forwarded-proto", b"https"))
    asyncio.run(TrueClient(app)(sent, None, None))

    assert ((b"x-forwarded-proto", b"https") in seen["headers"]) == believed
    assert (b"x-forwarded-for", CLIENT.encode()) in seen["headers"]
