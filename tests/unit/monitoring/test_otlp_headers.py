"""Whatever the headers for OpenTelemetry's collector are set to, a leader begins."""

import httpx
from hypothesis import given
from hypothesis import strategies as st

from monitoring import otlp


@given(st.lists(st.one_of(st.text(max_size=20), st.from_regex(r"[a-z-]{1,8}=[ -~]{0,20}", fullmatch=True)), max_size=5))
def test_what_cannot_be_a_header_is_left_out(pairs: list[str]) -> None:
    with httpx.Client(headers=otlp._headers(pairs)) as client:
        request = client.build_request("POST", "http://127.0.0.1:9/")
        assert request.headers["content-type"]
        assert all("\n" not in value and "\r" not in value for value in request.headers.values())


def test_a_value_may_hold_an_equals_sign() -> None:
    odd = ["nothing", "=x", "ü=x", "x=ü", "x=a\r\nb: c", "Content-Type=text/plain"]
    assert otlp._headers(["Authorization=Basic dXNlcjpw==", " x-org = 7 ", *odd]) == {
        "content-type": "application/json",
        "content-encoding": "gzip",
        "authorization": "Basic dXNlcjpw==",
        "x-org": "7",
    }
