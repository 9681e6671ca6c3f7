import io

import pytest

from erip.foundation.http.parsers import JsonParser
from erip.foundation.http.problems import BadRequest, PayloadTooLarge, Unprocessable


def parse(body: bytes):
    return JsonParser().parse(io.BytesIO(body))


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{'a': 1}", b"[NaN]", b"[Infinity]", b"\xff\xfe", b'"\xc3"', b'"\\ud800"', b"[1e999]", b"[1,]"],
)
def test_what_is_not_json_is_a_bad_request(body):
    with pytest.raises(BadRequest):
        parse(body)


def test_deeply_nested_json_is_refused_without_recursion():
    with pytest.raises((BadRequest, Unprocessable)):
        parse(b"[" * 100_000 + b"]" * 100_000)
    with pytest.raises(Unprocessable, match="not what this operation takes"):
        parse(b"[" * 65 + b"]" * 65)
    assert parse(b"[" * 64 + b"]" * 64)


def test_every_nul_character_is_named_with_its_path():
    with pytest.raises(Unprocessable) as refused:
        parse(b'{"input": {"cves": ["ok", "a\\u0000b"], "k\\u0000": 1}}')

    assert [fault.path for fault in refused.value.faults] == ["input", "input.cves[1]"]


@pytest.mark.parametrize("number", ["18446744073709551616", "-9223372036854775809", "9" * 5000])
def test_whole_numbers_of_more_than_64_bits_are_refused_rather_than_rounded(number):
    with pytest.raises((BadRequest, Unprocessable)):
        parse(f'{{"n": {number}}}'.encode())


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 10**18])
def test_whole_numbers_of_64_bits_are_kept(number):
    assert parse(f"[{number}]".encode()) == [number]


def test_long_digits_in_strings_and_fractions_are_not_whole_numbers():
    body = b'{"card": "99999999999999999999999", "share": 0.12345678901234567890123}'

    assert parse(body)["card"] == "9" * 23


def test_a_body_over_the_limit_is_refused():
    with pytest.raises(PayloadTooLarge):
        parse(b" " * (1024 * 1024 + 1))
