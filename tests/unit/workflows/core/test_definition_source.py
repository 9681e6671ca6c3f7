"""Reading YAML and JSON: no surprises, no bombs."""

import contextlib
import json
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.core.definition import DefinitionInvalid, parse


def faults_of(source, media="yaml") -> str:
    with pytest.raises(DefinitionInvalid) as caught:
        parse(source, media)
    return str(caught.value)


def test_only_yaml_1_2_words_are_more_than_text():
    text = """
on: yes
no: off
y: n
date: 2026-11-23
time: 12:30:45
version: 1.10
float: 1e3
octal: 0o17
hex: 0x1f
under: 1_000
zip: 012
null_: ~
empty:
true_: True
quoted: '1'
merge: {<<: {a: 1}}
tagged: !!str 5
"""
    assert parse(text, "yaml") == {
        "on": "yes",
        "no": "off",
        "y": "n",
        "date": "2026-11-23",
        "time": "12:30:45",
        "version": 1.1,
        "float": 1000.0,
        "octal": 15,
        "hex": 31,
        "under": "1_000",
        "zip": 12,
        "null_": None,
        "empty": None,
        "true_": True,
        "quoted": "1",
        "merge": {"<<": {"a": 1}},
        "tagged": "5",
    }


@pytest.mark.parametrize(
    ("source", "media", "fault"),
    [
        ("a: 1\nb: {c: 1, c: 2}", "yaml", "b.c: is there twice (line 2, column 11)"),
        ("a: 1\n'a': 2", "yaml", "a: is there twice"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "json", "b.c: is there twice"),
        ("a: &x [1]\nb: *x", "yaml", "b: aliases (*x) are not allowed (line 2"),
        ("a: &x [*x]", "yaml", "aliases (*x) are not allowed"),
        ("1: a", "yaml", "keys must be strings: quote 1"),
        ("true: a", "yaml", "keys must be strings: quote true"),
        ("? [a, b]\n: c", "yaml", "keys must be strings"),
        ("? {a: b}\n: c\nd: 1", "yaml", "keys must be strings"),
        ("a: !!python/object/apply:os.system [id]", "yaml", "is not allowed"),
        ("a: !!binary aGk=", "yaml", "is not allowed"),
        ("a: !thing {}", "yaml", "the tag !thing is not allowed"),
        ("a: !!int text", "yaml", "is not allowed here"),
        ("a: 1\n---\nb: 2", "yaml", "a second document begins line 2"),
        ("a: [1,", "yaml", "not YAML"),
        ("a: 'x\n\tb: 1", "yaml", "not YAML"),
        ("a: .nan\nb: [.inf, -.inf]", "yaml", "a: is not a finite number; b[0]: is not a finite number"),
        ("a: 1e999", "yaml", "is not a finite number"),
        ("a: 18446744073709551616", "yaml", "a: the number 18446744073709551616 has more than 64 bits"),
        ("a: " + "9" * 10_000, "yaml", "has more than 64 bits; send it as a string"),
        ('{"a": ' + "9" * 10_000 + "}", "json", "number is infinity"),
        ('{"a": 18446744073709551616}', "json", "a: the number 18446744073709551616 has more than 64 bits"),
        ('{"a": NaN}', "json", "NaN is not a JSON number"),
        ('{"a": 1e999}', "json", "number is infinity"),
        ('{"a": "\\ud800"}', "json", "no low surrogate"),
        ('{"a": ["\\u0000"]}', "json", "a[0]: contains the character U+0000, which cannot be stored"),
        ('{"\\u0000": 1}', "json", "has a key that contains the character U+0000"),
        ("{", "json", "not JSON: Expecting property name"),
        ("a: 1", "json", "not JSON"),
        (b"\xff\xfe", "yaml", "not UTF-8"),
        ("a\x00", "yaml", "null character"),
        ("", "yaml", "a definition is an object"),
        ("- a", "yaml", "a definition is an object"),
        ("[]", "json", "a definition is an object"),
        ("a: 1", "toml", "yaml or json, not toml"),
    ],
)
def test_what_is_refused(source, media, fault):
    assert fault in faults_of(source, media)


def test_a_text_in_json_is_read_as_such_when_it_is_sent_as_yaml():
    assert parse('{"a": "\\ud83d\\ude00", "b": 1e22}', "yaml") == {"a": "\U0001f600", "b": 1e22}
    assert parse("{a: b}", "yaml") == {"a": "b"}
    assert "b: is there twice" in faults_of('{"a": 1, "b": 2, "b": 3}', "yaml")


def test_a_byte_order_mark_is_no_fault():
    assert parse(b"\xef\xbb\xbfa: 1", "yaml") == {"a": 1}


def test_256_kib_and_no_more():
    assert parse("a: " + "x" * (256 * 1024 - 3), "yaml")
    assert "at most 256 KiB" in faults_of("a: " + "x" * (256 * 1024 - 2))
    assert "at most 256 KiB" in faults_of("a: " + "é" * (128 * 1024))


BOMBS = [
    ("[" * 200_000, "yaml"),
    ("a: " + "[" * 200_000, "yaml"),
    ("{" * 200_000, "yaml"),
    ("- " * 100_000, "yaml"),
    ("? " * 100_000, "yaml"),
    ("a: " + "&a " * 80_000, "yaml"),
    ("a: " + "!" * 200_000, "yaml"),
    ("\n".join(f"{' ' * i}a:" for i in range(700)), "yaml"),
    ("a: &a [x]\n" + "\n".join(f"b{i}: &b{i} [*a, *a, *a]" for i in range(5000)), "yaml"),
    ("1: a\n" * 50_000, "yaml"),
    ("[" * 200_000, "json"),
    ('{"a":' * 40_000, "json"),
    ('"\\' * 120_000, "json"),
    ('{"a": ' + "[" * 900 + "]" * 900 + "}", "json"),
]


@pytest.mark.parametrize(("source", "media"), BOMBS, ids=[f"{media}-{index}" for index, (_, media) in enumerate(BOMBS)])
def test_a_hostile_text_is_refused_quickly(source, media):
    # Each takes milliseconds; what went wrong here once took minutes.
    started = time.monotonic()
    faults_of(source, media)
    assert time.monotonic() - started < 60


def test_nesting_is_bounded_alike_in_both():
    assert "nested more than 64 deep" in faults_of("a: " + "[" * 64 + "]" * 64)
    assert "is nested deeper than 64 levels" in faults_of('{"a":' + "[" * 64 + "]" * 64 + "}", "json")
    assert parse("a: " + "[" * 63 + "]" * 63, "yaml") == parse('{"a":' + "[" * 63 + "]" * 63 + "}", "json")


TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.sampled_from(
        ["on", "no", "1", "0x1", "1e3", "null", "~", "2026-01-01", "<<", "=", "true", ".5", "- a", "a: b"]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(TEXT, VALUES, max_size=4))
@settings(deadline=None)
def test_json_comes_back_as_it_was(document):
    assert parse(json.dumps(document), "json") == document
    assert parse(json.dumps(document, ensure_ascii=False), "yaml") == document


@given(st.dictionaries(TEXT, VALUES.filter(lambda value: not isinstance(value, float)), max_size=4))
@settings(deadline=None)
def test_quoted_yaml_means_what_it_says(document):
    quoted = yaml.safe_dump(document, default_style='"', allow_unicode=True, sort_keys=False)
    try:
        assert parse(quoted, "yaml") == document
    except DefinitionInvalid as error:
        # Only what its writer makes an alias of (one object met twice) may be refused.
        assert "aliases" in str(error)  # noqa: PT017


@given(st.text(max_size=80) | st.binary(max_size=80))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_document_or_a_fault(source):
    for media in ("yaml", "json"):
        with contextlib.suppress(DefinitionInvalid):
            assert isinstance(parse(source, media), dict)
