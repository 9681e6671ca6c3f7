"""traffic: the requests of a profile, recorded or written, against a deployment that has the load of tomorrow."""

import asyncio
import re
from contextlib import suppress
from urllib.parse import urlsplit

from ..checks import NOTHING
from ..client import Client
from ..errors import Usage
from ..figures import Load
from ..session import Options, Session
from ..traffic.playing import Player

#: connections that are opened before the first request
_READY = 20
#: seconds for what may be unknown
_PATIENCE = 20


async def run(session: Session) -> list[Load]:
    profile = session.options.profile
    assert profile is not None, "`refuse` was called"
    deployment = session.deployment
    client = Client(deployment.url, deployment.key, base="", context=deployment.context)
    try:
        session.show.phase("before the load")
        release = await _release(client)
        player = Player(profile, client)
        await player.prepare()
        await client.open_connections(min(_READY, profile.in_flight))
        begin, end = await player.play(session.show.phase("traffic", int(profile.seconds)))
    finally:
        client.close()
    measured = player.measured
    offered_for = end - begin if measured.stopped else profile.seconds
    if measured.stopped:
        session.left_out.append(f"traffic: the rest of the load: {measured.stopped}")
    if measured.broken_off:
        session.left_out.append(
            f"traffic: what follows a wrong answer in its session: {measured.broken_off} sessions were broken off."
        )
    return [
        Load(
            name="traffic",
            title=f"{profile.rate:g} sessions/s at factor 1, for {profile.seconds:g} s in {len(profile.phases)} phases",
            method=(
                f"Open loop, {'random' if profile.random else 'even'} arrivals, seed {profile.seed}. A latency runs "
                "from when a request was due to the last byte of its answer; percentiles are of right answers. "
                f"Release of the web processes, by PULSE: {release}."
            ),
            figures=measured.figures(profile),
            correctness=NOTHING,
            latencies=measured.latencies(profile),
            distributions=measured.distributions(profile),
            offered=measured.asked / offered_for,
            # Until the last answer, or the end of the last phase: its rate may be so low that nothing is due in it.
            achieved=measured.answered / max(offered_for, end - begin),
            errors=measured.errors,
            grids=measured.grids(profile),
        )
    ]


async def _release(client: Client) -> str:
    """Which one is loaded; two while one follows the other. Without it, a figure is of nobody knows what."""
    asked = "/api/v1/metrics/query?metric=erip_release&by=component,release&range=1m"
    with suppress(OSError, ValueError, LookupError, TypeError):
        async with asyncio.timeout(_PATIENCE):
            answer = await client.request("GET", asked)
        labels = [line["labels"] for line in answer.json()["lines"] if line["points"]]
        if found := sorted({str(one["release"]) for one in labels if one["component"] == "web"}):
            return ", ".join(found)[:200]
    return "unknown"


def refuse(options: Options, url: str | None) -> None:
    """Raises Usage before anything is sent. url: None is a private stack, where there is nothing to harm."""
    profile = options.profile
    if profile is None:
        raise Usage("traffic needs --profile FILE.")
    if url is None:
        return
    if profile.host is None:
        raise Usage(f"The profile names no `host`, and so may not be used on {host_of(url)}: nothing was sent.")
    if (here := host_of(url)) != (meant := _usual(profile.host, urlsplit(url).scheme)):
        raise Usage(f"The profile is for the host {meant}, and --url is {here}: nothing was sent.")


def same_host(url: str, host: str) -> bool:
    """Whether a profile for `host` could be used on what answers at this address, by http or https."""
    try:
        here = host_of(url)
    except ValueError:  # no address: whoever asks it says so
        return False
    bare = {re.sub(r":(80|443)$", "", one.lower()).rstrip(".") for one in (here, host)}
    return len(bare) == 1


def host_of(url: str) -> str:
    """The host, with its port where it is not the usual one."""
    parts = urlsplit(url)
    return _usual(parts.netloc.rpartition("@")[2], parts.scheme)


def _usual(host: str, scheme: str) -> str:
    return host.lower().removesuffix({"http": ":80", "https": ":443"}.get(scheme, ":"))
