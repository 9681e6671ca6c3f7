import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.charts import units

FLOATS = st.floats(allow_nan=True, allow_infinity=True)


@pytest.mark.parametrize(
    ("metric", "value", "rate", "text"),
    [
        ("erip_lane_waiting_steps", 0.0, False, "0"),
        ("erip_lane_waiting_steps", 12_345.0, False, "12.3k"),
        ("erip_lane_waiting_steps", 999.9, False, "1k"),
        ("erip_lane_waiting_steps", None, False, "unknown"),
        ("erip_lane_oldest_wait_seconds", 0.0814, False, "81.4 ms"),
        ("erip_lane_oldest_wait_seconds", 2.0, False, "2 s"),
        ("erip_run_next_deadline_seconds", -7_200.0, False, "-2 h"),
        ("erip_disk_free_bytes", 1024.0**3, False, "1 GiB"),
        ("erip_postgresql_wal_bytes_total", 2048.0, True, "2 KiB/s"),
        ("erip_process_cpu_seconds_total", 0.05, True, "0.05"),
        ("erip_runs_accepted_total", 1.5, True, "1.5/s"),
    ],
)
def test_a_value_has_its_unit(metric: str, value: float | None, rate: bool, text: str) -> None:
    assert units.of(metric, value, rate=rate) == text


@given(FLOATS, st.sampled_from(["a_bytes", "a_seconds", "a", "a_days_left", "a_cpu_seconds_total"]), st.booleans())
def test_every_number_can_be_shown_and_none_that_is_unknown_as_a_number(value: float, metric: str, rate: bool) -> None:
    text = units.of(metric, value, rate=rate)
    assert text
    assert (text == units.UNKNOWN) == (not math.isfinite(value))


@given(st.floats(min_value=1e-12, max_value=1e30))
def test_an_axis_holds_its_highest_value_and_has_few_lines(top: float) -> None:
    for axis in (units.nice, units.nice_bytes):
        end, step = axis(top)
        assert end >= top * 0.999999
        assert 1 <= round(end / step) <= 5
        # At least a fifth of the chart is used.
        assert axis is units.nice_bytes or end <= top * 5
