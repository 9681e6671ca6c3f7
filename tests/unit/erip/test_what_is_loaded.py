"""What a process of the platform loads when it starts, and what it leaves until somebody needs it."""

import subprocess
import sys

from erip.ops.stack.state import ROOT

#: each costs every process, at every start, a tenth of a second and some megabytes
LATER = ("prompt_toolkit", "numpy", "holidays", "webauthn", "lxml", "signxml")
LOAD = f"""
import sys
import erip.celery, django
django.setup()
from django.urls import get_resolver
get_resolver().url_patterns
print([name for name in {LATER!r} if name in sys.modules])
"""


def test_what_few_processes_need_is_loaded_when_it_is_needed() -> None:
    # The settings of the tests, as the tests themselves have them.
    done = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_cel_is_one_and_the_same_however_it_is_imported() -> None:
    both = "from workflows.core import cel_compiler; import cel; print(cel.compile is cel_compiler.compile)"
    other = "import cel; from workflows.core import cel_compiler; print(cel.compile is cel_compiler.compile)"
    for text in (both, other):
        done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout == "True\n"
