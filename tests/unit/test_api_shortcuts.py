"""The quick way to read a good request says what the thorough one says."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from erip.foundation.http.parsers import _large_integers, faults_in, storable_faults
from workflows.api.serializers import StartRun
from workflows.api.starting import plainly_right
from workflows.core.states import Lane

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
lanes = st.sampled_from([*Lane, "fast"])
texts = st.sampled_from(["a", " ", "", "x" * 200, "x" * 201, "ü", "a\nb", "a\x00"])
bodies = st.fixed_dictionaries(
    {"input": st.dictionaries(st.text(max_size=3), anything, max_size=2) | anything},
    optional={
        "business_key": texts | anything,
        "lane": lanes.map(str) | anything,
        "version": st.integers(-1, 3) | st.sampled_from([2**31 - 1, 2**31, 1.0, True]) | anything,
        "other": anything,
    },
)


@given(bodies | anything)
def test_what_is_plainly_right_is_what_the_serializer_makes_of_it(data):
    told = plainly_right(data)
    if told is not None:
        serializer = StartRun(data=data)
        assert serializer.is_valid(), serializer.errors
        assert dict(serializer.validated_data) == told


def test_ordinary_bodies_are_plainly_right():
    for more in (
        {},
        {"business_key": "INC-7 ü"},
        {"lane": "critical"},
        {"version": 1},
        {"lane": None, "version": None},
    ):
        assert plainly_right({"input": {}, **more})


@given(anything)
def test_a_document_is_walked_with_paths_only_where_that_finds_something(data):
    body = orjson.dumps(data)
    data = orjson.loads(body)
    assert faults_in(body, data) == (storable_faults(data) or _large_integers(body))


def test_each_kind_of_fault_is_found():
    def found(text: bytes) -> int:
        return len(faults_in(text, orjson.loads(text)))

    assert found(b'["\\u0000", {"a\\u0000": "b\\u0000"}]') == 3
    assert found(b"[18446744073709551616, -9223372036854775809]") == 2
    assert found(b"[18446744073709551615, -9223372036854775808, 1e300]") == 0
    assert found(b"[" * 64 + b"]" * 64) == 0
    assert found(b"[" * 65 + b"]" * 65) == 1
    assert found(b'{"a":' * 65 + b"{}" + b"}" * 65) == 1
