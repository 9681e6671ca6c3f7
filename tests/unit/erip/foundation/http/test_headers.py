import pytest
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from erip.foundation.http.headers import idempotency_key, preferred_wait
from erip.foundation.http.problems import BadRequest


def request(**headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(APIRequestFactory().post("/", headers=named))


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=10", 10),
        ("respond-async, wait=5", 5),
        ("WAIT = 7", 7),
        ('wait="3"', 3),
        ("wait=600", 60),
        ("wait=0", 0),
        ("wait=-1", 0),
        ("wait=1.5", 0),
        ("wait", 0),
        ("wait=ten", 0),
        ("await=10", 0),
        ("", 0),
        ("wait=99999999999999", 60),
    ],
)
def test_the_preferred_wait_is_capped_and_what_is_malformed_is_ignored(prefer, seconds):
    assert preferred_wait(request(Prefer=prefer)) == seconds


def test_without_the_header_there_is_no_key():
    assert idempotency_key(request()) is None


@pytest.mark.parametrize("key", ["a", "x" * 255, "~!@#"])
def test_printable_keys_are_taken_as_they_are(key):
    assert idempotency_key(request(Idempotency_Key=key)) == key


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "ümlaut", "nul\x00", "with space"])
def test_other_keys_are_refused_with_the_headers_name(key):
    with pytest.raises(BadRequest) as refused:
        idempotency_key(request(Idempotency_Key=key))

    assert refused.value.faults[0].path == "Idempotency-Key"
