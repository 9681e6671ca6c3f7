"""What `benchmarks.trust` measures is what it says: a log that is whole, and a caller who may."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks import trust
from erip.audit import erip_verify


def test_the_log_that_is_verified_is_whole_and_signed() -> None:
    key = Ed25519PrivateKey.generate()
    count = trust.BLOCK * (trust.BLOCKS_SIGNED + 1) + 7
    lines = b"".join(trust.log_of(count, key.sign)).splitlines()

    log, checked = erip_verify.verify(lines, public=key.public_key().public_bytes_raw())

    assert (log.size, len(log.checkpoints), checked, log.findings) == (count, 2, 2, [])
    assert 390 <= sum(map(len, lines)) / count <= 500


def test_the_caller_is_known_and_may_start_runs() -> None:
    median, slowest = trust.check_times(20)
    assert 0 < median <= slowest
