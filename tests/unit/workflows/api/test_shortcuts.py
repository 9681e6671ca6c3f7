"""The quick way to read a good request says what the thorough one says."""

from hypothesis import given
from hypothesis import strategies as st

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
