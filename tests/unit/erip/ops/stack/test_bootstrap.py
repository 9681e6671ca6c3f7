"""The script that makes the virtual environment, as far as it goes without making one."""

import hashlib
import subprocess
import sys

import pytest

from erip.ops.stack import bootstrap


def test_uv_is_pinned_with_hashes_in_the_requirements():
    block = bootstrap._requirement("uv")
    assert block.startswith("uv==")
    assert "--hash=sha256:" in block
    assert len([line for line in block.splitlines() if "==" in line]) == 1
    assert not block.rstrip().endswith("\\")


def test_a_package_that_is_not_pinned_is_named():
    with pytest.raises(bootstrap.BootstrapError, match="does not pin no-such-package"):
        bootstrap._requirement("no-such-package")


def test_an_environment_that_is_up_to_date_is_left_alone(tmp_path):
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    digest = hashlib.sha256(bootstrap.REQUIREMENTS.read_bytes()).hexdigest()
    (venv / ".requirements.sha256").write_text(digest + "\n")
    done = subprocess.run(
        [sys.executable, "-I", bootstrap.__file__, "--venv", str(venv)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_old_python_is_told_which_one_is_needed(tmp_path):
    source = (bootstrap.ROOT / "erip" / "ops" / "stack" / "bootstrap.py").read_text()
    # The script as a Python that is too old would meet it: the version check is its first statement.
    script = tmp_path / "bootstrap.py"
    script.write_text(source.replace("sys.version_info < (3, 11)", "sys.version_info < (99,)", 1))
    done = subprocess.run([sys.executable, "-I", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("ERIP needs Python 3.11 or newer")
    assert len(done.stderr.splitlines()) == 1
