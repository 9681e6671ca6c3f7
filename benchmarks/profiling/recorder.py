"""py-spy, attached to a process for as long as a block runs."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import Missing

#: seconds in which py-spy has to attach, and to write what it saw
PATIENCE = 30


@contextmanager
def recording(pid: int, file: Path, *, rate: int, holding_interpreter: bool) -> Iterator[None]:
    """Write the stacks of the process to `file`, `rate` times a second.

    holding_interpreter: only the threads that compute in Python; otherwise all, read without stopping the process: a
    stop for each of its threads would slow it down several times. Raises Missing where py-spy may not look into the
    process.
    """
    program = str(Path(sys.executable).with_name("py-spy"))
    command = [program, "record", "--pid", str(pid), "--rate", str(rate), "--format", "raw", "--output", str(file)]
    command += ["--gil"] if holding_interpreter else ["--idle", "--nonblocking"]
    try:
        spy = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603
    except FileNotFoundError:
        raise Missing(f"{program} is not installed; `make venv` installs the pinned one.") from None
    try:
        assert spy.stdout is not None
        last = said = spy.stdout.readline()
        while said and "Sampling process" not in said:
            last, said = said, spy.stdout.readline()
        if not said:
            raise Missing(f"py-spy cannot look into process {pid} ({last.strip()}); it needs root or CAP_SYS_PTRACE.")
        yield
    finally:
        spy.send_signal(signal.SIGINT)
        try:
            spy.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            spy.kill()
            spy.wait()
