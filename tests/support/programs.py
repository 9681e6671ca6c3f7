"""Server programs that no wheel contains. Where one is missing its tests are skipped, and say why; with CI=true they
fail instead, because nobody reads the list of skipped tests there."""

import os
import shutil

import pytest

from erip.ops.stack.binaries import SYSTEM_FOLDERS


def missing(*programs: str) -> list[str]:
    return [name for name in programs if shutil.which(name, path=SYSTEM_FOLDERS) is None]


def needs(*programs: str) -> pytest.MarkDecorator:
    """Marks a test that cannot run without these."""
    names = missing(*programs)
    skipped = bool(names) and os.environ.get("CI") != "true"
    return pytest.mark.skipif(skipped, reason=f"{' and '.join(names)} not installed: make ha-deps")


needs_ha_programs = needs("haproxy", "etcd")
