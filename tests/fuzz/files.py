"""Hostile files for every command of `manage.py` that reads one: a clear line and an exit code, never a traceback."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import hostile

ROOT = Path(__file__).resolve().parents[2]
_KEV = {
    "title": "CISA Catalog of Known Exploited Vulnerabilities",
    "catalogVersion": "2026.11.25",
    "dateReleased": "2026-11-25T08:00:00.0000Z",
    "count": 1,
    "vulnerabilities": [
        {
            "cveID": "CVE-2021-44228", "vendorProject": "Apache", "product": "Log4j2", "vulnerabilityName": "x",
            "dateAdded": "2021-12-10", "shortDescription": "x", "requiredAction": "x", "dueDate": "2021-12-24",
            "knownRansomwareCampaignUse": "Known", "notes": "x", "cwes": ["CWE-20"],
        }
    ],
}  # fmt: skip
#: commands that take a file, and arguments before it
COMMANDS = [["load_kev"], ["validate"], ["validate", "--format", "sarif"], ["validate", "--format", "github"]]


@dataclass(frozen=True, slots=True)
class Ran:
    arguments: list[str]
    code: int
    output: str

    @property
    def good(self) -> bool:
        """It ended by itself, said what was wrong in a line, and showed no traceback."""
        return (
            "Traceback" not in self.output and self.code in (0, 1, 2) and (self.code == 0 or bool(self.output.strip()))
        )


def run(arguments: list[str], environment: Mapping[str, str], *, seconds: float = 120) -> Ran:
    try:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=dict(environment), capture_output=True,
            timeout=seconds, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Ran(arguments, -9, "it did not end")
    except ValueError as error:  # an argument that no process can be given
        return Ran(arguments, 1, str(error))
    return Ran(arguments, done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace"))


def hostile_kev(chance: random.Random) -> bytes:
    """A catalogue in which something is wrong."""
    text = json.dumps(_KEV)
    for _ in range(chance.randrange(1, 3)):
        name = chance.choice([*_KEV, *_KEV["vulnerabilities"][0]])
        value = json.dumps(_KEV.get(name, _KEV["vulnerabilities"][0].get(name)))
        text = text.replace(f'"{name}": {value}', f'"{name}": {chance.choice(hostile.JSON)}', 1)
    body = text.encode("utf-8", "surrogatepass")
    return chance.choice(
        [body, body, body, hostile.broken(chance, body), b"", b"\xff\xfe", b"[" * 100_000, b"null", b"[]"]
    )


def try_one(chance: random.Random, folder: Path, environment: Mapping[str, str]) -> Ran:
    """One command with a file that nobody should have."""
    path = folder / "hostile.json"
    path.unlink(missing_ok=True)
    kind = chance.randrange(8)
    if kind == 0:
        return run(
            [
                *chance.choice(COMMANDS),
                chance.choice([str(folder), "/dev/null", str(path), "", "\n", "/proc/self/mem"]),
            ],
            environment,
        )
    path.write_bytes(hostile_kev(chance))
    if kind == 1 and os.geteuid():
        path.chmod(0)
    return run([*chance.choice(COMMANDS), str(path)], environment)
