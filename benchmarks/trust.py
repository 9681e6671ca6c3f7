"""What proof and permission cost: how fast the audit log is verified, and how long it takes to know a caller.

    python -m benchmarks.trust log --entries 10000000
    python -m benchmarks.trust key

`log` writes a whole log of so many entries, as `manage.py audit export` does, into the verifier, which is a process of
its own and reads it as it comes; nothing is kept on disk. `key` is what the light path does with each request: from the
headers to whether this caller may start runs, with a key that the process has read lately and that has two networks.
Neither needs a server. Exit status 3: slower than 100,000 entries/s, or than 0.2 ms at the median.
"""

import argparse
import base64
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

VERIFIER = Path(__file__).resolve().parent.parent / "erip" / "audit" / "erip_verify.py"
LEAST_PER_SECOND, MOST_MILLISECONDS = 100_000, 0.2
MISSED = 3
#: the leader seals each second and signs each minute, at 500 entries a second
BLOCK, BLOCKS_SIGNED = 500, 60
#: so that an entry has the 400 bytes that one of the platform has
_PADDING = "x" * 90
_PRINCIPALS = ("key:crm", "user:ada@example.org", "key:siem")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trust", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("log").add_argument("--entries", type=_positive, default=10_000_000)
    commands.add_parser("key").add_argument("--checks", type=_positive, default=20_000)
    options = parser.parse_args(arguments)
    return _log(options.entries) if options.what == "log" else _key(options.checks)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


# --- the log ----------------------------------------------------------------------------------------------------------


def _log(entries: int) -> int:
    key = Ed25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    command = [sys.executable, str(VERIFIER), "-", "--key", public]
    began, length = time.monotonic(), 0
    with subprocess.Popen(command, stdin=subprocess.PIPE) as verifier:  # noqa: S603 (this Python, and a file of ours)
        assert verifier.stdin is not None
        for part in log_of(entries, key.sign):
            length += len(part)
            verifier.stdin.write(part)
        verifier.stdin.close()
        status = verifier.wait()
    seconds = time.monotonic() - began
    rate = entries / seconds
    print(
        f"{entries:,} entries, {length / entries:.0f} bytes each, made and verified in {seconds:.1f} s: {rate:,.0f}/s"
    )
    return status or (0 if rate >= LEAST_PER_SECOND else MISSED)


def log_of(entries: int, sign: Callable[[bytes], bytes]) -> Iterator[bytes]:
    """The lines of `audit_lines` of a log that is whole: a portion for each block, and the checkpoints at the end."""
    from erip.audit.chain import Log, leaf_of

    log, signed, previous = Log(), list[bytes](), b""
    for number, first in enumerate(range(1, entries + 1, BLOCK), 1):
        positions = range(first, min(first + BLOCK, entries + 1))
        records = [_record(position) for position in positions]
        leaves = [leaf_of(record) for record in records]
        log = log.with_leaves(leaves)
        lines = [
            b'{"position":%d,"leaf":"%s","record":%s}\n' % (position, leaf.hex().encode(), record)
            for position, leaf, record in zip(positions, leaves, records, strict=True)
        ]
        lines.append(b'{"block":%d,"at":%d,"size":%d,"head":"%s"}\n' % (number, 2 * 10**15, log.size, _hex(log.head)))
        yield b"".join(lines)
        if number % BLOCKS_SIGNED == 0 or log.size == entries:
            told = {
                "v": 1,
                "number": len(signed) + 1,
                "at": 10**15 + len(signed),
                "previous": sha256(previous).hexdigest(),
                "size": log.size,
                "head": log.head.hex(),
                "root": log.root.hex(),
                "key": "benchmark",
            }
            previous = json.dumps(told, separators=(",", ":")).encode()
            signed.append(b'{"checkpoint":%s,"signature":"%s"}\n' % (previous, base64.b64encode(sign(previous))))
    yield b"".join(signed)


def _record(number: int) -> bytes:
    by = _PRINCIPALS[number % len(_PRINCIPALS)]
    return (
        f'{{"id":{number},"xid":{number // 2},"at":{10**15 + number},"role":"erip_app","entry":{{"kind":"operation",'
        f'"door":"api","action":"startRun","principal":"{by}","object":"workflows/breach-response","from":"192.0.2.7",'
        f'"request":"{number:032x}","detail":"{_PADDING}"}}}}'
    ).encode()


def _hex(data: bytes) -> bytes:
    return data.hex().encode()


# --- a caller ---------------------------------------------------------------------------------------------------------


def _key(checks: int) -> int:
    os.environ |= {"DJANGO_SETTINGS_MODULE": "erip.settings.local", "DATABASE_URL": "postgres://none@127.0.0.1:1/none"}
    os.environ |= {"ERIP_SECRET_KEY": secrets.token_urlsafe(32), "ERIP_BROKER_URL": "redis://127.0.0.1:1/0"}
    import django

    django.setup()
    median, slowest = check_times(checks)
    print(f"{checks:,} checks of a caller: {median * 1e3:.4f} ms at the median, {slowest * 1e3:.4f} ms at p99")
    return 0 if median * 1e3 <= MOST_MILLISECONDS else MISSED


def check_times(checks: int) -> tuple[float, float]:
    """Seconds at the median and at p99. Raises RuntimeError if the caller is not who they should be."""
    from django.utils import timezone

    from erip.access import callers, keys
    from erip.access.models import ApiKey
    from erip.access.policy import decide

    prefix, secret = "Benchm0k", keys.new_secret()
    row = ApiKey(name="benchmark", prefix=prefix, digest=keys.digest_of(secret), scope="operator")
    row.networks, row.last_used_at = ["198.51.100.0/24", "192.0.2.0/24"], timezone.now()
    keys.remember(row)
    headers = [
        *((b"host", b"erip.example.org"), (b"accept", b"application/json"), (b"content-type", b"application/json")),
        (b"authorization", b"Bearer " + keys.token_of(prefix, secret).encode()),
    ]
    times = []
    for _ in range(checks):
        began = time.perf_counter()
        brought = callers.credentials_of(headers, "192.0.2.7")
        caller = callers.known_at_once(brought) if brought else None
        principal = caller.principal if caller else None
        allowed = principal is not None and decide(principal, ["workflows.start_run"]).allowed
        times.append(time.perf_counter() - began)
        if not allowed:
            raise RuntimeError("the key that was made for it opens nothing")
    keys.forget_cached()
    times.sort()
    return times[len(times) // 2], times[len(times) * 99 // 100]


if __name__ == "__main__":
    sys.exit(main())
