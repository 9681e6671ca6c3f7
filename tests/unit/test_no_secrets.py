"""Nothing that looks like a credential is in the repository.

It looks for the shapes that issuers give their tokens, for private keys, and for long random texts beside the words
that name secrets. What must stay, because a test needs it, is listed with its reason.
"""

import base64
import hashlib
import math
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: name → shape
SHAPES = {
    "private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:\s|\\n)*[0-9A-Za-z+/]{40}"),
    "AWS": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "GitHub": re.compile(r"\bgh[pousr]_[0-9A-Za-z]{36,}\b|\bgithub_pat_[0-9A-Za-z_]{60,}\b"),
    "GitLab": re.compile(r"\bglpat-[0-9A-Za-z_-]{20,}\b"),
    "Slack": re.compile(
        r"\bxox[abprs]-[0-9A-Za-z-]{20,}\b|hooks\.slack\.com/services/T[0-9A-Z]{8,}/B[0-9A-Z]{8,}/\w{20,}"
    ),
    "Google": re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b"),
    "Stripe": re.compile(r"\b[rs]k_live_[0-9A-Za-z]{20,}\b"),
    "PyPI": re.compile(r"\bpypi-AgEIcHlwaS5vcmc[0-9A-Za-z_-]{20,}"),
    "JSON Web Token": re.compile(r"\beyJ[0-9A-Za-z_-]{15,}\.eyJ[0-9A-Za-z_-]{15,}\.[0-9A-Za-z_-]{20,}"),
    "ERIP key": re.compile(r"\berip_[0-9a-z]{8}_[0-9A-Za-z_-]{40,}\b"),
}
#: a name of a secret, and the text that it is given
ASSIGNED = re.compile(
    r"""(?ix)\b\w*(?:password|passwd|secret|token|api_?key|private_?key)\w*["']?\s*[:=]\s*["']([0-9A-Za-z+/=_-]{24,})["']"""
)
#: bits for each character above which a text counts as random
RANDOM = 4.2
#: SHA-256 of a text that may stay → why. None so far.
ALLOWED: dict[str, str] = {}
BINARY = {".png", ".ico", ".woff2", ".zip", ".xlsx", ".gz"}


def found_in(text: str) -> list[tuple[str, str]]:
    """(what it looks like, the text) of each thing that looks like a secret."""
    found = [(name, one.group()) for name, shape in SHAPES.items() for one in shape.finditer(text)]
    found += [("random text", one[1]) for one in ASSIGNED.finditer(text) if bits(one[1]) > RANDOM and not words(one[1])]
    return [(name, one) for name, one in found if hashlib.sha256(one.encode()).hexdigest() not in ALLOWED]


def bits(text: str) -> float:
    """Shannon's entropy for each character."""
    shares = [text.count(one) / len(text) for one in set(text)]
    return -sum(share * math.log2(share) for share in shares)


def words(text: str) -> bool:
    """Whether it is base64 of something to read: what tests give as the secret of a webhook."""
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True).decode("ascii").isprintable()
    except ValueError:
        return False


def files() -> list[Path]:
    told = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if told.returncode:
        pytest.skip("not a checkout: git knows no files here")
    return [ROOT / name for name in told.stdout.decode().split("\0") if name]


def test_there_is_no_secret_in_the_repository():
    wrong = []
    for path in files():
        if path.suffix in BINARY or not path.is_file() or path.is_symlink():
            continue
        for name, one in found_in(path.read_text("utf-8", "replace")):
            wrong.append(f"{path.relative_to(ROOT)}: {name} {one[:8]}… {hashlib.sha256(one.encode()).hexdigest()}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "planted",
    [
        "-----BEGIN " + "EC PRIVATE KEY-----\n" + "MHcC" * 12,
        "AKIA" + "ABCDEFGH12345678",
        "ghp_" + "a1B2" * 9,
        "xoxb-" + "1234567890-" * 3,
        "erip_" + "0a1b2c3d_" + "Qw3r" * 11,
        "eyJ" + "a" * 20 + ".eyJ" + "b" * 20 + "." + "c" * 30,
        'DB_PASSWORD = "' + base64.b64encode(hashlib.sha256(b"planted").digest()).decode() + '"',
    ],
)
def test_what_is_planted_is_found(planted):
    assert found_in(f"x = 1\n{planted}\n")


def test_what_is_no_secret_is_left_alone():
    assert found_in('password = "a-long-password-for-a-test"\ntoken = "aaaaaaaaaaaaaaaaaaaaaaaaaaaa"\n') == []
