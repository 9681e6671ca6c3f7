"""How the service does meanwhile: for its other clients, in memory, and on its event loops."""

import asyncio
import ssl
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import psutil

from erip.ops.stack import control
from erip.ops.stack.ha.roles import Roles
from erip.ops.stack.state import State

from ..client import Answer, Client

#: operations of the other clients per second
RATE = 20
#: bytes: ERIP_API_BULK_BODY_LIMIT
LARGEST_BODY = 16 * 1024 * 1024
#: seconds that another client waits for an answer
PATIENCE = 5.0
NAME = "front-door"
_STEP = {"uses": "nexus.enrich_threat", "with": {"cvss_vectors": []}}
#: the smallest piece of work, which is never refused for load: the way in is what is measured
DEFINITION = {"name": NAME, "lane": "critical", "input": {"type": "object"}, "steps": {"enrich": _STEP}}


@dataclass
class Seen:
    """seconds: how long each operation took that was answered rightly
    wrong: the wrong answers that the other clients got
    silent: the longest time that a web process's event loop took for its simplest answer
    grown: bytes of the web server that grew most, over the start of the phase
    """

    seconds: list[float] = field(default_factory=list)
    wrong: dict[str, int] = field(default_factory=dict)
    silent: float = 0.0
    grown: int = 0


@dataclass(frozen=True)
class Webs:
    """The web processes: where each is reached without the balancer, and the masters' process ids."""

    urls: list[str]
    pids: list[int]
    #: for TLS
    context: ssl.SSLContext | None = None

    def memory(self) -> list[int]:
        """Of each server, with its processes."""
        return [_memory_of(pid) for pid in self.pids]


def webs_of(state: State) -> Webs:
    """Those of a running stack."""
    processes = [one for one in control.status(state).processes if one.name.startswith("web")]
    urls = [one.url for one in processes if one.url]
    context = Roles(state).web_context() if any(url.startswith("https:") for url in urls) else None
    return Webs(urls, [one.pid for one in processes if one.pid], context)


async def watch(client: Client, webs: Webs, seconds: float) -> Seen:
    """Act as the other clients for that long."""
    seen = Seen()
    before = webs.memory()
    loop = asyncio.get_running_loop()
    began = loop.time()
    running: set[asyncio.Task[None]] = set()
    # In threads of their own: a delay of this process's loop must not count against theirs.
    with ThreadPoolExecutor(len(webs.urls) + 1) as pool:
        ends = time.monotonic() + seconds
        asked = [loop.run_in_executor(pool, _longest_silence, url, webs.context, ends) for url in webs.urls]
        most = loop.run_in_executor(pool, _most_memory, webs, ends)
        for number in range(round(seconds * RATE)):
            await asyncio.sleep(max(0.0, began + number / RATE - loop.time()))
            task = asyncio.ensure_future(_one(client, number, seen))
            running.add(task)
            task.add_done_callback(running.discard)
        if running:
            await asyncio.wait(running)
        seen.silent = max(await asyncio.gather(*asked))
        seen.grown = max(after - at_first for after, at_first in zip(await most, before, strict=True))
    return seen


async def _one(client: Client, number: int, seen: Seen) -> None:
    began = time.perf_counter()
    try:
        if number % 2:
            answer = await client.request("GET", "/runs?limit=5", seconds=PATIENCE)
        else:
            answer = await client.request("POST", f"/workflows/{NAME}/runs", {"input": {}}, seconds=PATIENCE)
    except TimeoutError:
        _count(seen, "no answer in time")
    except OSError as error:
        _count(seen, type(error).__name__)
    else:
        if answer.status in (200, 202):
            seen.seconds.append(answer.ended - began)
        else:
            _count(seen, f"{answer.status} {_code_of(answer)}".strip())


def _code_of(answer: Answer) -> str:
    try:
        return str(answer.json()["code"])
    except (ValueError, KeyError, TypeError):
        return ""


def _count(seen: Seen, what: str) -> None:
    seen.wrong[what] = seen.wrong.get(what, 0) + 1


def _longest_silence(url: str, context: ssl.SSLContext | None, ends: float) -> float:
    longest = 0.0
    while (began := time.monotonic()) < ends:
        try:
            with urllib.request.urlopen(f"{url}/health/live", timeout=30, context=context) as answer:  # noqa: S310  # nosec B310 (ours)
                answer.read()
        except OSError:
            time.sleep(0.05)
        longest = max(longest, time.monotonic() - began)
        time.sleep(0.1)
    return longest


def _most_memory(webs: Webs, ends: float) -> list[int]:
    most = webs.memory()
    while time.monotonic() < ends:
        time.sleep(0.2)
        most = [max(pair) for pair in zip(most, webs.memory(), strict=True)]
    return most


def _memory_of(pid: int) -> int:
    try:
        master = psutil.Process(pid)
        return sum(one.memory_info().rss for one in (master, *master.children(recursive=True)))
    except psutil.Error:
        return 0
