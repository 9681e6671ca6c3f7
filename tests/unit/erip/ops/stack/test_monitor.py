"""Flower starts without the platform."""

import subprocess
import sys

#: what Flower itself does first
LOADS = """
import sys
from erip.ops.stack.monitor import make_celery
make_celery("redis://127.0.0.1:1/0").loader.import_default_modules()
assert "django.conf" not in sys.modules or not sys.modules["django.conf"].settings.configured
"""


def test_it_loads_no_settings_of_the_platform_also_where_the_environment_names_them() -> None:
    """The container image does, for all pods. Those of production would want the secrets of the platform."""
    env = {"DJANGO_SETTINGS_MODULE": "erip.settings.production"}
    done = subprocess.run([sys.executable, "-c", LOADS], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
