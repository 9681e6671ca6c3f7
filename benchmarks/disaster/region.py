"""The primary region is lost with runs in flight; the other one takes over, and hands back."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex

from erip.ops.region.keeper import FENCED
from erip.ops.stack.errors import ServerFailed
from erip.ops.stack.postgres import Postgres
from erip.ops.stack.privileges import choose_user
from erip.ops.stack.processes import wait_until
from erip.ops.stack.servers import Server, private_postgres, temporary_folder
from erip.ops.stack.state import State

from . import left, servers
from .ledger import Callers, Loss, loss, missed
from .seen import Seen
from .sites import Kept, Site, make_ready

#: seconds that servers and processes may take to be there
PATIENCE = 180.0
RTO, RPO = 60.0, 5.0
_STREAMS = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND application_name = %s"
_SYNCHRONOUS = "SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')"


@dataclass(frozen=True)
class Sizes:
    """runs: in flight when the region is lost. backlog: of them W4 that wait in chunks. due: seconds after the start at
    which the sleepers are due. traffic: seconds of starts before the loss. hold: of the keepers. patience: seconds that
    all runs may take to end. cold: the other region's processes load only when it takes over."""

    runs: int = 100_000
    backlog: int = 4_000
    due: float = 240.0
    traffic: float = 10.0
    hold: float = 10.0
    patience: float = 600.0
    cold: bool = False
    back: bool = True


@dataclass
class Regions:
    """East writes, with a synchronous standby; west follows that."""

    folder: Path
    sizes: Sizes
    seen: Seen
    stack: ExitStack
    secret: str = field(default_factory=lambda: token_hex(24), repr=False)

    def build(self) -> None:
        state = State.from_environment()
        self.user = choose_user(state)
        witness = self.witness = servers.Witness(self.folder / "witness")
        witness.folder.mkdir()
        self.stack.callback(witness.stop)
        witness.start()
        self.one = private_postgres(servers.home(self.folder, "east-1", self.user), state, self.user)
        self.stack.callback(self.one.kill)
        self.one.start(PATIENCE)
        self.east = Site("east", self.folder, self.one, self.secret, self.user)
        self.stack.callback(self.east.kill)
        self.east.redis.start()
        self.key = make_ready(self.east.env, self.folder / "prepare.log")
        servers.tell(self.one, "ALTER SYSTEM SET wal_keep_size = '8GB'", "SELECT pg_reload_conf()")
        self.two = self.follower(self.one, "east-2")
        self.far = self.follower(self.two, "west-1")
        # After they were copied, which would copy this too, and would wait for it once promoted.
        servers.tell(self.one, "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (\"east-2\")'")
        servers.tell(self.one, "SELECT pg_reload_conf()")
        must(lambda: servers.ask_as_superuser(self.one, _SYNCHRONOUS) == [(1,)], "east-2 is synchronous")
        self.west = Site("west", self.folder, self.far, self.secret, self.user)
        self.stack.callback(self.west.kill)
        named = (("east", "one", self.one), ("east", "two", self.two), ("west", "one", self.far))
        self.kept = [self.keeper(*one) for one in named]
        self.kept[0].command("begin")
        for one in self.kept:
            one.keep()
        known = self.kept[2].configuration.open()
        must(lambda: known.held("east", "one") == 1 and "west" in known.keepers(), "the keepers know whose turn it is")
        self.east.start()
        self.west.start(waits=True, cold=self.sizes.cold)
        must(self.east.ready, "east serves")

    def follower(self, source: Server, name: str) -> Server:
        server = servers.follower(source, servers.home(self.folder, name, self.user), name)
        self.stack.callback(server.kill)
        must(lambda: streams(source, name), f"{name} streams")
        return server

    def keeper(self, region: str, node: str, server: Server) -> Kept:
        one = Kept(region, node, server, self.folder, self.witness.endpoints, self.sizes.hold)
        self.stack.callback(one.stop)
        return one


def tell(sizes: Sizes, seen: Seen) -> None:
    """The whole story. Raises ServerFailed."""
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder(choose_user(State.from_environment())))
        folder.chmod(0o755)
        regions = Regions(folder, sizes, seen, stack)
        with seen.timed("two regions were built"):
            regions.build()
        callers = Callers(regions.key)
        callers.site = ("east", regions.east.url)
        callers.define()
        left.count_recordings(regions.one.url)
        lost_at = lose(regions, callers)
        take(regions, callers)
        near = look_at_the_standby(regions, callers, lost_at)
        far = compare(regions, callers, lost_at)
        come_back(regions)
        drain(regions, callers, far)
        seen.must("the synchronous standby has all that was acknowledged", not near.missing)
        seen.must(f"RPO of the region ≤ {RPO:.0f} s", far.seconds <= RPO)
        if sizes.back:
            hand_back(regions, callers, far)


def lose(regions: Regions, callers: Callers) -> float:
    """Everything of east is killed at once, with runs in flight. Returns the moment at which nothing of it was left."""
    sizes, seen = regions.sizes, regions.seen
    due = datetime.now(UTC) + timedelta(seconds=sizes.due)
    with seen.timed(f"{sizes.runs:,} runs were accepted", sizes.runs):
        callers.sleepers(sizes.runs, due.isoformat())
    callers.traffic(0.05)
    time.sleep(sizes.traffic)
    count = len(callers.runs)
    callers.begin_chains(max(1, sizes.backlog // 4), times=4)
    # The loss comes into the midst of starts.
    wait_until(lambda: len(callers.runs) > count + sizes.backlog // 3, 30)
    keepers = [one.keeper for one in regions.kept[:2] if one.keeper]
    began = time.monotonic()
    servers.kill_at_once(
        [*regions.east.processes.values(), regions.witness.member("east"), *keepers],
        [regions.one, regions.two, regions.east.redis],
    )
    lost_at = time.monotonic()
    seen.say(f"all of the region was killed (in {lost_at - began:.2f} s)")
    return lost_at


def take(regions: Regions, callers: Callers) -> None:
    """The runbook's command, and how long it takes until a run ends in west."""
    seen, url = regions.seen, regions.far.url
    cpu, memory = regions.west.used()
    seen.keep("waiting_megabytes", memory, f"west's processes, while they wait: {memory:.0f} MB")
    began, began_at = time.monotonic(), time.time()
    for line in regions.kept[2].command("take").splitlines():
        seen.say(f"take: {line}")
    took = time.monotonic() - began
    seen.keep("in_flight", count := left.open_runs(url), f"runs in flight, as they are there: {count:,}")
    # As the names in DNS would.
    callers.site = ("west", regions.west.url)
    rto = left.first_end(url, began_at, patience=PATIENCE) - began_at
    cpu = regions.west.used()[0] - cpu
    must(lambda: any(one.site == "west" for one in list(callers.runs.values())), "west acknowledges a start")
    first = min(one.at for one in list(callers.runs.values()) if one.site == "west") - began
    seen.keep("promoted", took, f"from the command until west's PostgreSQL was promoted: {took:.1f} s")
    seen.keep("rto", rto, f"from the command until the first run ended there (RTO): {rto:.1f} s")
    seen.keep("first", first, f"from the command until the first start was acknowledged there: {first:.1f} s")
    seen.keep("cpu", cpu, f"CPU that west's processes used from the command until then: {cpu:.1f} s")
    seen.must(f"RTO ≤ {RTO:.0f} s", rto <= RTO)


def look_at_the_standby(regions: Regions, callers: Callers, lost_at: float) -> Loss:
    """What the synchronous standby had, as a person finds out on a copy of its data."""
    with regions.seen.timed("a copy of the synchronous standby's data was made and started"):
        copied = servers.copy_of(regions.two, servers.home(regions.folder, "copy", regions.user))
    try:
        found = loss(dict(callers.runs), left.ids(copied.url), site="east", lost_at=lost_at)
    finally:
        copied.kill()
    told(regions.seen, "standby", "the synchronous standby", found)
    return found


def compare(regions: Regions, callers: Callers, lost_at: float) -> Loss:
    found = loss(dict(callers.runs), left.ids(regions.far.url), site="east", lost_at=lost_at)
    told(regions.seen, "region", "the other region", found)
    return found


def told(seen: Seen, name: str, which: str, found: Loss) -> None:
    seen.keep(f"{name}_missing", len(found.missing), (
        f"{which}: of {found.acknowledged:,} acknowledged starts {len(found.missing)} are missing,"
        f" RPO {found.seconds:.3f} s"
    ))  # fmt: skip
    seen.figures[f"{name}_rpo"], seen.figures[f"{name}_of"] = round(found.seconds, 3), found.acknowledged


def come_back(regions: Regions) -> None:
    """East has power again: its keepers start, and PostgreSQL can be started nowhere there."""
    lost = regions.kept[:2]
    with regions.seen.timed("the lost region came back, and was fenced"):
        for one in lost:
            one.keep()
        must(lambda: all((data_of(one) / FENCED).exists() for one in lost), "both are fenced")
    started = []
    for one in lost:
        try:
            one.server.start(30)
            started.append(one.node)
        except ServerFailed:
            continue
    regions.seen.must("no PostgreSQL of the lost region starts", not started)


def drain(regions: Regions, callers: Callers, far: Loss) -> None:
    """All runs end in west, and the ledger is compared with them."""
    seen, url = regions.seen, regions.far.url
    callers.end()
    with seen.timed("all runs had ended in west", left.open_runs(url)):
        open_runs = left.drained(url, patience=regions.sizes.patience)
    found, ledger = left.found(url), dict(callers.runs)
    missing = missed(ledger, found.ids, far)
    doubled = found.ids - ledger.keys()
    seen.keep("states", found.states, f"how they ended: {found.states}")
    seen.keep("lost", len(missing), f"lost, beyond what the region's RPO says: {len(missing)}")
    seen.keep("doubled", len(doubled), f"runs that nobody was told of, or started twice: {len(doubled)}")
    seen.keep("twice", found.recorded.twice, (
        f"results of steps: {found.recorded.recordings:,}, recorded twice: {found.recorded.twice};"
        f" requests that were sent again: {callers.again}"
    ))  # fmt: skip
    seen.must("all runs ended", open_runs == 0 and set(found.states) == {"SUCCEEDED"})
    seen.must("nothing else is lost", not missing)
    seen.must("nothing is doubled", not doubled and found.recorded.twice == 0)
    seen.must("each outcome is right", found.wrong == 0 and not callers.wrong)
    for fault in callers.wrong[:3]:
        seen.say(fault)


def hand_back(regions: Regions, callers: Callers, far: Loss) -> None:
    """East is made a copy of west, and takes the turn as planned, under starts."""
    seen, west = regions.seen, regions.kept[2]
    for one in regions.kept[:2]:
        one.stop()
    with seen.timed("east was made a copy of west"):
        copied = regions.follower(regions.far, "east-3")
    west.command("forget", "east", "two")
    east = regions.keeper("east", "one", copied)
    east.keep()
    known = east.configuration.open()
    must(lambda: known.held("east", "one") == 0, "east knows that it is a copy")
    site = Site("again", regions.folder, copied, regions.secret, regions.user)
    regions.stack.callback(site.kill)
    site.start(waits=True, cold=regions.sizes.cold)
    callers.traffic(0.05)
    time.sleep(min(5.0, regions.sizes.traffic))
    began, began_at = time.monotonic(), time.time()
    for line in east.command("take", "--planned").splitlines():
        seen.say(f"take --planned: {line}")
    took = time.monotonic() - began
    promoted_at = time.time()
    callers.site = ("again", site.url)
    # Until it was promoted, runs ended in west.
    rto = left.first_end(copied.url, promoted_at, patience=PATIENCE) - began_at
    must(lambda: any(one.site == "again" for one in list(callers.runs.values())), "east acknowledges a start")
    callers.end()
    missing = missed(callers.runs, left.ids(copied.url), far)
    seen.keep("back", rto, (
        f"handed back: promoted after {took:.1f} s, first run ended after {rto:.1f} s;"
        f" {len(missing)} acknowledged starts are missing"
    ))  # fmt: skip
    seen.figures["back_missing"] = len(missing)
    seen.must("a planned hand-over loses nothing", not missing)


def streams(source: Server, name: str) -> bool:
    return bool(servers.ask_as_superuser(source, _STREAMS, name)[0][0])


def data_of(one: Kept) -> Path:
    kind = one.server.kind
    assert isinstance(kind, Postgres)
    return kind.data


def must(fact: Callable[[], bool], what: str) -> None:
    """Raises ServerFailed when it does not become true."""
    if not wait_until(fact, PATIENCE):
        raise ServerFailed(f"not within {PATIENCE:.0f} s: {what}")
