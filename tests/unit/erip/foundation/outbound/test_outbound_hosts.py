"""Names outside of ASCII are those of IDNA 2008, everywhere a host is read."""

from typing import Any

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from erip.foundation.outbound.addresses import Refused
from erip.foundation.outbound.checks import ascii_hosts
from erip.foundation.outbound.hosts import BadHost, ascii_email, ascii_host, host_fault
from erip.foundation.outbound.webhook import Target
from workflows.errors import InvalidInput
from workflows.events.subscriptions import check


@pytest.mark.parametrize(
    ("name", "host"),
    [
        # The four characters that IDNA 2003 maps to others, or drops.
        ("straße.de", "xn--strae-oqa.de"),
        ("faß.de", "xn--fa-hia.de"),
        ("βόλος.com", "xn--nxasmm1c.com"),
        ("نامه‌ای.com", "xn--mgba3gch31f060k.com"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("日本語。jp", "xn--wgv71a119e.jp"),
        ("\uff11\uff12\uff17.0.0.1", "127.0.0.1"),
        ("Example.ORG", "example.org"),
        ("my_service", "my_service"),
        ("xn--strae-oqa.de", "xn--strae-oqa.de"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_a_host_is_read_as_browsers_read_it(name: str, host: str) -> None:
    assert ascii_host(name) == host


@pytest.mark.parametrize("name", ["☃.net", "a..ü", "ü" * 64, "-ü.de", "\u0300ü.de", "ü de"])
def test_a_name_that_idna_2008_has_not_is_refused(name: str) -> None:
    with pytest.raises(BadHost):
        ascii_host(name)
    with pytest.raises(Refused):
        Target.of(f"https://{name}/", allow_private=False)


def test_a_webhook_is_called_at_the_host_that_was_written() -> None:
    target = Target.of("https://straße.de/hook", allow_private=False)
    assert (target.host, target.header) == ("xn--strae-oqa.de", "xn--strae-oqa.de")
    assert ascii_email("ä@straße.de") == "ä@xn--strae-oqa.de"


@given(st.text(min_size=1, max_size=30))
def test_any_text_is_a_host_in_ascii_or_refused(name: str) -> None:
    try:
        host = ascii_host(name)
    except BadHost:
        return
    assert host.isascii()
    assert ascii_host(host) == host


def test_a_subscription_to_a_name_that_is_none_is_refused_at_the_door() -> None:
    with pytest.raises(InvalidInput):
        check(url="https://☃.net/", types=["*"], source=None, subject=None)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"ERIP_PUBLIC_URL": "https://straße.de"}, "ERIP_PUBLIC_URL"),
        ({"ALLOWED_HOSTS": ["straße.de"]}, "ERIP_ALLOWED_HOSTS"),
        ({"ERIP_BROKER_URL": "sentinel://redis:26379;sentinel://straße.de:26379"}, "ERIP_BROKER_URL"),
        ({"EMAIL_HOST": "straße.de"}, "ERIP_EMAIL_URL"),
        ({"DEFAULT_FROM_EMAIL": "erip@straße.de"}, "ERIP_DEFAULT_FROM_EMAIL"),
    ],
)
def test_a_setting_whose_host_could_be_read_in_two_ways_stops_the_start(settings: dict[str, Any], name: str) -> None:
    assert ascii_hosts() == []
    with override_settings(**settings):
        [error] = ascii_hosts()
    assert error.id == "hosts.E001"
    assert f"{name}: the host 'straße.de' must be written as 'xn--strae-oqa.de'" in error.msg


def test_a_database_host_is_looked_at_too() -> None:
    assert (
        host_fault("x", "postgres://u@straße.de/db") == "x: the host 'straße.de' must be written as 'xn--strae-oqa.de'"
    )
    assert host_fault("x", "/var/run/postgresql") is None
    assert host_fault("x", "http://[::1") is not None
