#!/usr/bin/env python3
"""Reads the checkpoints of ERIP from a bucket with object lock. Needs Python 3.9 or newer, the package `minio`, and
nothing of ERIP.

    erip_bucket.py https://host/bucket/prefix --output checkpoints.jsonl

The key is the auditor's own, in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; it may do `s3:ListBucketVersions`,
`s3:GetObject` and `s3:GetObjectVersion`. Object lock keeps versions: somebody with another key can put a delete marker
or a newer version over an object, and what reads the bucket as usual then misses it. This program reads the oldest
version of each object, which is what ERIP wrote, and names on standard error whatever was put over it. The output is
the file for `erip_verify.py --witness`.

Exit code: 0 nothing was put over a checkpoint, 1 something was, 2 the bucket could not be read.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from minio import Minio
from minio.credentials.providers import EnvAWSProvider
from minio.error import MinioException
from urllib3.exceptions import HTTPError

#: how ERIP names a checkpoint: its number, and the size of the log
NAME = re.compile(r"[0-9]{12,}-[0-9]{12,}\.jsonl")
#: bytes; ERIP writes 16 MB at the most
LARGEST = 64 * 1024 * 1024
#: objects that are read at the same time, and in one portion
THREADS, PORTION = 8, 512


def read(client: Minio, bucket: str, prefix: str, write: Callable[[bytes], Any]) -> tuple[int, list[str]]:
    """Hands the content of each checkpoint to `write`, in the order of their names. Returns how many there were, and
    what was found. Raises MinioException and HTTPError."""
    versions, findings = _listed(client, bucket, prefix)
    names = sorted(versions)

    def content(name: str) -> tuple[bytes, list[str]]:
        return _content(client, bucket, name, versions[name])

    with ThreadPoolExecutor(THREADS) as threads:
        for start in range(0, len(names), PORTION):
            for first, wrong in threads.map(content, names[start : start + PORTION]):
                findings += wrong
                if first:
                    write(first.rstrip(b"\n") + b"\n")
    return len(names), findings


def _listed(client: Minio, bucket: str, prefix: str) -> tuple[dict[str, list[Any]], list[str]]:
    """By name: (time, order, size, id) of each version, the oldest first. And a finding for each delete marker."""
    versions: dict[str, list[Any]] = {}
    findings: list[str] = []
    for order, each in enumerate(client.list_objects(bucket, prefix=prefix, recursive=True, include_version=True)):
        if not NAME.fullmatch(each.object_name.removeprefix(prefix)):
            continue
        if each.is_delete_marker:
            findings.append(f"deleted: {each.object_name}: there is a delete marker, of {each.last_modified}")
        else:
            # Of two in the same second the one that was stored later is listed first.
            versions.setdefault(each.object_name, []).append((each.last_modified, -order, each.size, each.version_id))
    for found in versions.values():
        found.sort()
    return versions, findings


def _content(client: Minio, bucket: str, name: str, found: list[Any]) -> tuple[bytes, list[str]]:
    """Of the oldest version, and a finding for each newer one that is another."""
    (_, _, size, version), *newer = found
    if size > LARGEST:
        return b"", [f"too large: {name} has {size} bytes, which no checkpoint has"]
    first = _get(client, bucket, name, version)
    return first, [
        f"overwritten: {name}: there is another version, of {at}"
        for at, _, its, newer_version in newer
        if its != size or _get(client, bucket, name, newer_version) != first
    ]


def _get(client: Minio, bucket: str, name: str, version: str) -> bytes:
    answer = client.get_object(bucket, name, version_id=version)
    try:
        return answer.read()
    finally:
        answer.close()
        answer.release_conn()


def main(arguments: "list[str] | None" = None) -> int:
    parser = argparse.ArgumentParser(prog="erip-bucket", description=__doc__.split("\n\n")[0])
    parser.add_argument("url", help="https://host/bucket/prefix, as in ERIP_AUDIT_S3")
    parser.add_argument("--output", required=True, help="the file for the checkpoints")
    parser.add_argument("--region", default=os.environ.get("AWS_REGION", "us-east-1"), help="by default us-east-1")
    options = parser.parse_args(arguments)
    parts = urlsplit(options.url)
    bucket, _, prefix = parts.path.strip("/").partition("/")
    if parts.scheme not in ("http", "https") or not parts.hostname or not bucket:
        parser.error("the URL is https://host/bucket/prefix")
    # Under its own name only when all of it is there.
    unfinished = Path(f"{options.output}.part")
    try:
        client = Minio(
            parts.netloc, credentials=EnvAWSProvider(), secure=parts.scheme == "https", region=options.region
        )
        with unfinished.open("wb") as file:
            count, findings = read(client, bucket, f"{prefix}/" if prefix else "", file.write)
        for finding in findings:
            print(f"WRONG: {finding}", file=sys.stderr)
        if not count:
            raise ValueError("there is no checkpoint")
        unfinished.replace(options.output)
    except (MinioException, HTTPError, OSError, ValueError) as error:
        said = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        print(f"cannot be read: {said}", file=sys.stderr)
        return 2
    print(f"{count} checkpoints")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
