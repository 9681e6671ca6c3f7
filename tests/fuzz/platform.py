"""A platform to be fuzzed: a web process, a worker and a leader, and what must not be seen of them."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tests import workers
from tests.support.web import web

_TRACEBACK = re.compile(r"Traceback \(most recent call last\)|Exception in thread|Fatal Python error")
#: threads that come and go with what they do
_PASSING = re.compile(r"^(?:request|light|asyncio|ThreadPoolExecutor|AnyIO|Thread-|Dummy|QueueFeeder|.*_\d+$|.*-\d+$)")


@dataclass
class Process:
    name: str
    log: Path
    process: subprocess.Popen[bytes]
    #: how far its log was read
    read: int = 0
    threads: frozenset[str] = frozenset()

    def tracebacks(self) -> list[str]:
        """Of the log, what was written since the last look and shows an error that nobody caught."""
        with self.log.open("rb") as file:
            file.seek(self.read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self.read += len(whole)
        return [line[-3_000:] for line in _events(whole.decode("utf-8", "replace")) if _TRACEBACK.search(line)]

    def pid(self) -> int:
        """Of the process that works: gunicorn's master has a child."""
        import psutil

        children = psutil.Process(self.process.pid).children()
        return children[0].pid if self.name == "web" and children else self.process.pid

    def lasting_threads(self) -> frozenset[str] | None:
        """The names of the threads that stay; None where nobody may look."""
        dump = subprocess.run(
            [Path(sys.executable).parent / "py-spy", "dump", "--json", "--pid", str(self.pid())],
            capture_output=True,
            check=False,
            timeout=60,
        )
        if dump.returncode:
            return None
        names = {each.get("thread_name") or "" for each in json.loads(dump.stdout)}
        return frozenset(name for name in names if name and not _PASSING.match(name))


@dataclass
class Platform:
    port: int
    processes: list[Process] = field(default_factory=list)

    def begin(self) -> None:
        """Remember which threads there are."""
        for each in self.processes:
            each.threads = each.lasting_threads() or frozenset()
            each.tracebacks()

    def faults(self) -> list[str]:
        """What must not be, since the last look."""
        found = []
        for each in self.processes:
            found += [f"{each.name}: {text}" for text in each.tracebacks()]
            if each.process.poll() is not None:
                found.append(f"{each.name}: ended with {each.process.returncode}")
        return found

    def dead_threads(self) -> list[str]:
        found = []
        for each in self.processes:
            if each.process.poll() is None and (now := each.lasting_threads()) is not None:
                found += [f"{each.name}: {name}" for name in sorted(each.threads - now)]
        return found


@contextmanager
def platform(folder: Path) -> Iterator[Platform]:
    """On the database and the broker that Django's settings name."""
    with ExitStack() as stack:
        site = stack.enter_context(web(folder / "web.log"))
        worker = stack.enter_context(workers.worker(folder / "worker.log"))
        leader = stack.enter_context(workers.leader(folder / "leader.log"))
        made = Platform(int(urlsplit(site.url).port or 0))
        made.processes = [
            Process("web", folder / "web.log", site.process),
            Process("worker", folder / "worker.log", worker),
            Process("leader", folder / "leader.log", leader),
        ]
        yield made


def _events(text: str) -> list[str]:
    """Lines, those of a bare traceback joined with what follows."""
    found: list[str] = []
    for line in text.splitlines():
        if found and not line.startswith("{") and _TRACEBACK.search(found[-1]):
            found[-1] += f"\n{line}"
        else:
            found.append(line)
    return found
