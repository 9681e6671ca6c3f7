"""Header fields are read by their grammars, and never by a pattern that finds something in the middle of another."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erip.foundation.http import grammar
from erip.foundation.http.grammar import Malformed, Preference

TOKENS = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=8)
#: what a quoted string can hold, as a server hands it on
TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12)
ANYTHING = st.text(st.characters(max_codepoint=0xFF), max_size=40)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("wait=10", "10"),
        ("Wait = 10", "10"),
        ("WAIT=10", "10"),
        ('wait="10"', "10"),
        ("respond-async, wait=10", "10"),
        ("respond-async,wait=10; foo=bar", "10"),
        (", ,wait=10,", "10"),
        ("wait=10, wait=20", "10"),  # the first holds
        ('foo="a, wait=5", wait=10', "10"),
        ('foo="a\\", wait=5", wait=10', "10"),
        ('foo="wait=5"', None),
        ('foo="; wait=5;"', None),
        ("foo; wait=5", None),  # a parameter of foo
        ("await=5", None),
        ("wait-for=5", None),
        ('foo="wait=5', None),  # never ends
        ("wait=5 6", None),
        ("=5, wait=10", "10"),  # what is malformed is ignored, and no more
        ("wait", ""),
        ("wait=", None),
        ("", None),
    ],
)
def test_a_preference_is_a_member_of_the_list_and_nothing_else(text, wait):
    found = grammar.preferences(text).get("wait")

    assert (found.value if found else None) == wait


def test_a_preference_has_parameters():
    assert grammar.preferences('a="b c" ; D = "e" ;; f') == {"a": Preference("b c", {"d": "e", "f": ""})}


@given(st.dictionaries(TOKENS.map(str.lower), TEXTS, max_size=4))
def test_preferences_read_back_as_they_were_written(wanted):
    text = ", ".join(f"{name}={quoted(value)}" for name, value in wanted.items())

    assert {name: found.value for name, found in grammar.preferences(text).items()} == wanted


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("007", 7),
        ("60", 60),
        ("9" * 5000, 999_999_999),
        ("", None),
        ("-1", None),
        ("1.5", None),
    ],
)
def test_seconds_are_digits(text, seconds):
    assert grammar.delta_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        ("text/plain", None),
        ("text/plain;charset=UTF-8", "utf-8"),
        ("Text/Plain ; Charset = latin1", Malformed),  # no white space around the equals sign
        ('text/plain; CHARSET="ISO-8859-1"', "iso-8859-1"),
        ('text/plain; x="; charset=utf-16"', None),
        ('text/plain; x="a\\"; charset=b"; charset=utf-8', "utf-8"),
        ("text/plain;;charset=utf-8;", "utf-8"),
        ("text/plain; charset=a; charset=b", Malformed),
        ("text/plain, application/json", Malformed),
        ("text", Malformed),
        ("text/", Malformed),
        ('text/plain; charset="utf-8', Malformed),
        ("", Malformed),
    ],
)
def test_the_charset_of_a_media_type(text, charset):
    if charset is Malformed:
        with pytest.raises(Malformed):
            grammar.charset(text)
    else:
        assert grammar.charset(text) == charset


@given(TOKENS, TOKENS, st.dictionaries(TOKENS.map(str.lower), TEXTS, max_size=3))
def test_media_types_read_back_as_they_were_written(type_, subtype, parameters):
    text = f"{type_}/{subtype}" + "".join(f"; {name}={quoted(value)}" for name, value in parameters.items())

    found = grammar.media_type(text)

    assert (found.essence, found.parameters) == (f"{type_}/{subtype}".lower(), parameters)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("GZip", ["gzip"]),
        (" gzip , identity", ["gzip", "identity"]),
        (",,gzip,", ["gzip"]),
        ("", []),
        ("gz ip", Malformed),
        ("gzip;q=1", Malformed),
    ],
)
def test_lists_of_names(text, names):
    if names is Malformed:
        with pytest.raises(Malformed):
            grammar.tokens(text)
    else:
        assert grammar.tokens(text) == names


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ("YWJj+/=", "YWJj+/="),
        ('"a b"', "a b"),
        (r'"a\"b\\"', r'a"b\\'.replace(r"\\", "\\")),
        ('  "a"  ', "a"),
        ('"a";x=1; y="z";w=?1;v=:YQ==:;u=t', "a"),
        ('""', ""),
        ("", Malformed),
        ('"a', Malformed),
        ('a"', Malformed),
        ('"a" "b"', Malformed),
        ('"a","b"', Malformed),  # the header was there twice
        ("a,b", Malformed),
        ("a b", Malformed),
        ("a;b", Malformed),
        (r'"a\b"', Malformed),
        ('"\u00e9"', Malformed),
        ("\u00e9", Malformed),
        ('"a\tb"', Malformed),
        ('"a";X=1', Malformed),
        ('"a";', Malformed),
    ],
)
def test_a_string_of_structured_fields_or_the_same_bare(text, value):
    if value is Malformed:
        with pytest.raises(Malformed):
            grammar.string_or_bare(text)
    else:
        assert grammar.string_or_bare(text) == value


@given(ANYTHING)
def test_no_text_makes_a_reader_fail_otherwise(text):
    grammar.preferences(text)
    grammar.delta_seconds(text)
    for read in (grammar.media_type, grammar.charset, grammar.tokens, grammar.string_or_bare):
        with suppress(Malformed):
            read(text)


def test_no_reader_takes_long_over_a_long_text():
    """A megabyte of what could make a reader go back and forth is read in one pass."""
    began = time.process_time()
    for piece in ('"', '"\\', ",", ";", "a=", 'a="b', "; ", "\t", 'a;b="c,'):
        text = piece * (1_000_000 // len(piece))
        grammar.preferences(text)
        for read in (grammar.media_type, grammar.tokens, grammar.string_or_bare):
            for sent in (f"a/b{text}", text):
                with suppress(Malformed):
                    read(sent)
    assert time.process_time() - began < 20
