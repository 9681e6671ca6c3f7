"""The test file of docs/how-to/test-workflows.md runs as it stands, where nothing of ERIP is set up."""

import os
import re
import subprocess
import sys
from pathlib import Path

from erip.ops.stack.state import ROOT

PAGE = ROOT / "docs" / "how-to" / "test-workflows.md"


def test_the_example_passes_in_a_pytest_of_its_own(tmp_path: Path) -> None:
    example = re.search(r"```python\n(# test_payments\.py.*?)```", PAGE.read_text(), re.DOTALL)
    assert example
    (tmp_path / "test_payments.py").write_text(example[1])
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:django"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout
