"""What others notice while the front door is attacked.

    python -m benchmarks.front_door                    the highly available stack, behind its HAProxy
    python -m benchmarks.front_door --single           one web process, without a balancer

It starts a stack of its own. A well-behaved client asks for 20 operations a second: first alone, then while 200 clients
drip, while 40 send endless bodies without a key, and while four with a key send what is hard to decompress. For each
phase it prints how long the answers took, what was wrong, the longest silence of an event loop and the growth of the
web processes' memory. Exit status 1 when an aim is missed.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from erip.ops.stack.private import PrivateStack, private_stack

from ..client import Client
from ..statistics import summarise
from .attackers import Door, Tally, attacking, bomb, bombs, drip, flood
from .watching import DEFINITION, LARGEST_BODY, NAME, Seen, watch, webs_of

DRIPPERS = 200
FLOODERS = 40
BOMBERS = 4
#: aims, in seconds: for the others' operations at the 99th percentile, and for the longest silence
AIM = 1.0


async def measure(stack: PrivateStack, seconds: float) -> list[tuple[str, Seen, Tally]]:
    client = Client(stack.url, stack.api_key, context=stack.context)
    published = await client.request("PUT", f"/workflows/{NAME}", DEFINITION)
    if published.status not in (200, 201):
        raise RuntimeError(f"the workflow was not published: {published.body!r}")
    webs = webs_of(stack.state)
    await watch(client, webs, 3)
    hard, door = bombs(stack.api_key), Door(stack.url, stack.context)
    phases: list[tuple[str, Callable[[Tally], AbstractContextManager[None]]]] = [
        ("nobody else", lambda tally: nullcontext()),
        (f"{DRIPPERS} drip", lambda tally: attacking(DRIPPERS, lambda which: drip(door, which, tally))),
        (f"{FLOODERS} without end", lambda tally: attacking(FLOODERS, lambda _: flood(door, tally))),
        (f"{BOMBERS} with bombs", lambda tally: attacking(BOMBERS, lambda _: bomb(door, hard, tally))),
        ("nobody else, again", lambda tally: nullcontext()),
    ]
    found = []
    for title, attack in phases:
        tally = Tally()
        with attack(tally):
            found.append((title, await watch(client, webs, seconds), tally))
        print(_line(*found[-1]), flush=True)
    client.close()
    return found


def _line(title: str, seen: Seen, tally: Tally) -> str:
    times = summarise(seen.seconds or [float("nan")])
    wrong = ", ".join(f"{count} x {what}" for what, count in seen.wrong.items()) or "none"
    return (
        f"| {title} | {len(seen.seconds)} | {times.p50:.0f} | {times.p99:.0f} | {times.max:.0f} | {wrong} | "
        f"{seen.silent * 1000:.0f} | {seen.grown / 2**20:.0f} | {tally.made} |"
    )


def _missed(found: list[tuple[str, Seen, Tally]]) -> list[str]:
    limit = 3 * LARGEST_BODY
    missed = []
    for title, seen, _ in found:
        if seen.wrong:
            missed.append(f"{title}: not all of the others were served")
        if not seen.seconds or summarise(seen.seconds).p99 > AIM * 1000:
            missed.append(f"{title}: the others' p99 is over {AIM:g} s")
        if seen.silent > AIM:
            missed.append(f"{title}: an event loop was silent for {seen.silent:.1f} s")
        if seen.grown > limit:
            missed.append(f"{title}: the web processes grew by more than three times the largest body")
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.front_door", description=__doc__.splitlines()[0])
    parser.add_argument("--single", action="store_true", help="one web process without a balancer")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each phase (20)")
    given = parser.parse_args()
    with private_stack(ha=not given.single) as stack:
        print("| attack | served | p50 ms | p99 ms | max ms | wrong | silent ms | memory MiB | connections |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
        found = asyncio.run(measure(stack, given.seconds))
    missed = _missed(found)
    for one in missed:
        print(f"missed: {one}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
