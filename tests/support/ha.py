"""Whether this machine has what a highly available stack needs."""

import pytest

from erip.stack.binaries import find_system

MISSING = [name for name in ("haproxy", "etcd") if find_system(name, None) is None]
needs_ha_programs = pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} not installed: make ha-deps")
