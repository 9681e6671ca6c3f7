"""Where py-spy's samples are counted to."""

from benchmarks.profiling import stacks

LOOP = "run (threading.py:975);Writer._write_for_ever (workflows/worker/writer.py:112)"
RAW = f"""\
{LOOP};apply (workflows/store/checkpoints.py:40);decide (workflows/core/machine/deciding.py:20);__init__ (<string>:3) 6
{LOOP};apply (workflows/store/checkpoints.py:44);to_json (workflows/store/values.py:79) 1
{LOOP};apply (workflows/store/checkpoints.py:50);CursorWrapper._execute (django/db/backends/utils.py:105) 2
{LOOP};Writer._take (workflows/worker/writer.py:124) 1
run (threading.py:975);wait (threading.py:320) 10
"""


def test_a_sample_counts_to_the_innermost_frame_that_has_a_group() -> None:
    shares = stacks.by_module(stacks.read(RAW))
    # A dataclass's own __init__ has no module: it counts to the machine, which called it.
    assert shares["machine: decides"] == 30
    assert shares["json"] == 5
    assert shares["psycopg2, Django's database layer"] == 10
    assert shares["writer, executor, bodies"] == 5
    assert shares[stacks.OTHER] == 50
    assert sum(shares.values()) == 100


def test_a_function_counts_with_all_that_it_calls_and_once_a_stack() -> None:
    shares = stacks.by_function(stacks.read(RAW), 2)
    assert shares == {"_write_for_ever (workflows/worker/writer.py)": 50, "apply (workflows/store/checkpoints.py)": 45}


def test_the_writer_waits_for_postgres_or_for_work_or_computes() -> None:
    assert stacks.of_writer(stacks.read(RAW)) == {
        "computes, or waits for the interpreter": 70,
        "waits for PostgreSQL, or in psycopg2": 20,
        "waits for outcomes and claims": 10,
    }


def test_nothing_sampled_is_nothing_shown() -> None:
    assert stacks.by_module(stacks.read("")) == {}
    assert stacks.of_writer(stacks.read("")) == {}
    assert stacks.by_function(stacks.read(""), 5) == {}
