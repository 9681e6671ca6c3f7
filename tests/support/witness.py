"""A real etcd of a test's own, on loopback, without a login: the witness between two regions."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from erip.ops.guard.etcd import Etcd, EtcdError
from erip.ops.stack.binaries import SYSTEM_FOLDERS
from erip.ops.stack.ports import any_free
from erip.ops.stack.processes import wait_until


@contextmanager
def witness_etcd(folder: Path) -> Iterator[int]:
    """Gives its port."""
    program = shutil.which("etcd", path=SYSTEM_FOLDERS)
    assert program
    port, peer = any_free(), any_free()
    client, peers = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    words = [
        program, "--name=one", f"--data-dir={folder / 'etcd'}", f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}", f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=one={peers}",
    ]  # fmt: skip
    with (folder / "etcd.log").open("ab") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        asked = Etcd([("127.0.0.1", port)], timeout=1.0)

        def healthy() -> bool:
            try:
                return asked.healthy()
            except EtcdError:
                return False

        assert wait_until(healthy, 60), (folder / "etcd.log").read_text()[-500:]
        yield port
    finally:
        process.kill()
        process.wait()
