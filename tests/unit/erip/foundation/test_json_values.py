"""What a JSON value is: Note [Values] in `erip.foundation.json_values`."""

import json
import time
import tracemalloc
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from erip.foundation import json_values
from erip.foundation.faults import MAX_PATH, Fault
from erip.foundation.json_values import NotAValue, NotJson, dump, faults, load, read
from workflows.core.definition import DefinitionInvalid, parse

texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8)
numbers = (
    st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([1e22, 1e308, 5e-324, -0.0, 1e16, 2.0**64, -(2.0**63), 1.0])
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts | st.sampled_from(["\U0001fffe", "\ufdd0", "\ue000", "\x7f", "\\"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
#: what may come out of Python code, or be written by hand
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@given(values, st.sampled_from([json.dumps, lambda value: json.dumps(value, ensure_ascii=False, indent=1)]))
@example(1e22, json.dumps)
def test_a_value_is_read_as_it_was_written_however_it_was_written(value: Any, write: Any) -> None:
    assert read(write(value)) == value
    assert faults(value) == []
    assert load(dump(value)) == value


@given(values)
def test_what_jsonb_makes_of_a_value_is_the_same_value(value: Any) -> None:
    # PostgreSQL writes numbers without an exponent.
    class Plain(float):
        def __repr__(self) -> str:
            return format(float(self), "f") if abs(self) >= 1e15 else float.__repr__(self)

    def written(inner: Any) -> Any:
        if isinstance(inner, float):
            return Plain(inner)
        if isinstance(inner, dict):
            return {key: written(item) for key, item in inner.items()}
        return [written(item) for item in inner] if isinstance(inner, list) else inner

    assert load(json.dumps(written(value)).replace(".000000", "")) == value


@given(anything)
def test_what_is_no_value_is_refused_and_never_changed(value: Any) -> None:
    try:
        text = dump(value)
    except NotAValue:
        assert faults(value, deepest=json_values.MAX_DEPTH_INSIDE)
    else:
        assert load(text) == value
        assert faults(value) == []


@given(anything)
def test_what_a_definition_says_in_yaml_is_a_value_or_refused(value: Any) -> None:
    try:
        document = parse(yaml.safe_dump({"a": value}, allow_unicode=True), "yaml")
    except (DefinitionInvalid, yaml.YAMLError):
        return
    else:
        assert load(dump(document)) == document


@given(st.lists(texts, min_size=1, max_size=6), values)
def test_a_key_that_is_there_twice_is_found_however_it_is_written(keys: list[str], inner: Any) -> None:
    written = ",".join(f"{json.dumps(key)} : {json.dumps(inner)}" for key in keys)
    body = f'[{{"around": {{{written}}}}}]'

    if len(set(keys)) == len(keys):
        assert read(body) == [{"around": dict.fromkeys(keys, inner)}]
    else:
        with pytest.raises(NotAValue, match="is there twice"):
            read(body)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'["\\u0000", {"a\\u0000": "b\\u0000"}]', ["[0]", "[1]", "[1]['a\\x00']"]),
        (b'[18446744073709551616, {"a": -9223372036854775809}]', ["[0]", "[1].a"]),
        (b'{"a": {"b": 1, "\\u0062": 2}, "a": 3}', ["a"]),
        (b'{"a": {"b": 1, "\\u0062": 2}}', ["a.b"]),
        (b"[" * 65 + b"]" * 65, ["[0]" * 64]),
        (b'{"a":' * 65 + b"{}" + b"}" * 65, [".".join("a" * 64)]),
    ],
)
def test_each_fault_is_found_where_it_is(body: bytes, found: list[str]) -> None:
    with pytest.raises(NotAValue) as refused:
        read(body)
    assert [fault.path for fault in refused.value.faults] == found


@pytest.mark.parametrize(
    "body", [b"[18446744073709551615, -9223372036854775808, 1e300]", b"[" * 64 + b"]" * 64, b"1e22"]
)
def test_the_last_that_is_allowed_is_allowed(body: bytes) -> None:
    assert read(body) == json.loads(body)


@pytest.mark.parametrize(
    "body", [b"NaN", b"[Infinity]", b"1e999", b'"\\ud800"', b'"\xed\xa0\x80"', b"", "\ud800", b"[" * 99_999]
)
def test_what_is_no_json_is_refused(body: bytes | str) -> None:
    with pytest.raises(NotJson):
        read(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"' + b"k" * 4_000 + b'": [' + b'"\\u0000",' * 100_000 + b"0]}",
        b"[" + b"99999999999999999999," * 45_000 + b"0]",
        b"{" + b'"a":0,' * 150_000 + b'"a":1}',
        b"[" + b'"' + b"\\u0000" * 160_000 + b'"]',
        b'{"' + b"\\u0000" * 100_000 + b'": ' + b"[" * 60 + b'"\\u0000"' + b"]" * 60 + b"}",
    ],
)
def test_a_megabyte_of_faults_costs_no_more_than_a_megabyte_of_sense(body: bytes) -> None:
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(NotAValue) as refused:
        read(body)
    took, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(refused.value.faults) <= json_values.MAX_FAULTS
    assert all(len(fault.path) <= MAX_PATH for fault in refused.value.faults)
    assert peak < 60_000_000
    assert took < 60


def test_a_fault_says_what_to_do() -> None:
    with pytest.raises(NotAValue) as refused:
        read('{"n": 100000000000000000000}')
    assert refused.value.faults == [
        Fault("n", "the number 100000000000000000000 has more than 64 bits; send it as a string")
    ]
