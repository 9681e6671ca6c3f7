"""Two regions, a witness between them, and what cuts them apart: never do both take writes, and what is lost is known.

Real PostgreSQL that streams, a real etcd, keepers as processes of their own. docs/how-to/second-region.md has the
commands.
"""

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
import pytest

from erip.ops.guard.etcd import Etcd
from erip.ops.region import turns
from erip.ops.region.configuration import Configuration, read
from erip.ops.region.ends import ENDED, FOLLOWED, KILLED, End
from erip.ops.region.keeper import FENCED
from erip.ops.region.witness import TermError, Witness
from erip.ops.stack.servers import Server, private_servers
from erip.ops.stack.standby import as_superuser, standby_of
from erip.ops.stack.state import ROOT
from tests.support.programs import needs
from tests.support.relay import Relay
from tests.support.witness import witness_etcd
from tests.workers import process, until

pytestmark = [needs("etcd"), pytest.mark.timeout(600)]
#: seconds that a "yours" is good for
HOLD = 4.0
PROMOTE = """
import sys, psycopg2
c = psycopg2.connect(host="127.0.0.1", port=sys.argv[1], user="postgres", password=sys.argv[2], dbname="postgres")
c.autocommit = True
k = c.cursor()
k.execute("SELECT pg_promote(true, 60)")
sys.exit(0 if k.fetchone() == (True,) else 1)
"""


@dataclass
class Region:
    name: str
    server: Server
    file: Path
    keeper: subprocess.Popen[bytes] | None = None

    @property
    def configuration(self) -> Configuration:
        return read(self.file)

    def keep(self) -> None:
        with (self.file.parent / f"{self.name}.log").open("ab") as log:
            self.keeper = subprocess.Popen(
                [sys.executable, "-m", "erip.ops.region", str(self.file), "keeper"], cwd=ROOT, stdout=log, stderr=log
            )

    def stop(self) -> None:
        if self.keeper:
            self.keeper.kill()
            self.keeper.wait()


def region(name: str, server: Server, folder: Path, port: int) -> Region:
    kind = server.kind
    words = [sys.executable, "-c", PROMOTE, str(kind.port), kind.superuser_password]
    file = folder / f"{name}.toml"
    file.write_text(
        f'name = "erip"\nregion = "{name}"\nnode = "one"\ndata = "{kind.data}"\nhold_seconds = {HOLD}\n'
        f'witness = ["127.0.0.1:{port}"]\npromote = [{", ".join(repr(word) for word in words)}]\n'.replace(
            repr(PROMOTE), f"'''{PROMOTE}'''"
        )
    )
    return Region(name, server, file)


@dataclass
class Writer(threading.Thread):
    """Writes one number after the other to one server; `acknowledged` has when each was, by a clock that both share."""

    server: Server
    first: int = 0
    acknowledged: dict[int, float] = field(default_factory=dict)
    enough: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        numbers, connection = itertools.count(self.first), None
        while not self.enough.wait(0.005):
            try:
                if connection is None:
                    connection = as_superuser(self.server.kind, "postgres")
                with connection.cursor() as cursor:
                    number = next(numbers)
                    cursor.execute("INSERT INTO written VALUES (%s)", [number])
                self.acknowledged[number] = time.monotonic()
            except psycopg2.Error:
                with suppress(Exception):
                    connection.close()  # type: ignore[union-attr]
                connection = None

    def end(self) -> None:
        self.enough.set()
        self.join(30)


@contextmanager
def writing(server: Server, first: int = 0) -> Iterator[Writer]:
    writer = Writer(server, first)
    writer.start()
    try:
        until(lambda: len(writer.acknowledged) > 30, what="writes are acknowledged")
        yield writer
    finally:
        writer.end()


def written(server: Server) -> set[int]:
    with closing(as_superuser(server.kind, "postgres")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT number FROM written")
        return {number for (number,) in cursor.fetchall()}


@pytest.fixture
def regions(tmp_path: Path) -> Iterator[tuple[Region, Region, int]]:
    """East writes, west follows, and both keepers know it. Gives the port of the witness, too."""
    with (
        witness_etcd(tmp_path) as port,
        private_servers(redis=False, fsync=False) as (primary, _),
        standby_of(primary) as standby,
        closing(as_superuser(primary.kind, "postgres")) as root,
    ):
        with root.cursor() as cursor:
            cursor.execute("CREATE TABLE written (number bigint PRIMARY KEY)")
        root.close()
        east, west = region("east", primary, tmp_path, port), region("west", standby, tmp_path, port)
        assert "term 1 is east's" in command(east, "begin")
        try:
            yield east, west, port
        finally:
            east.stop()
            west.stop()


def command(one: Region, *words: str) -> str:
    """`python -m erip.ops.region`, as the page has it; what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "erip.ops.region", str(one.file), *words], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def kept(*regions: Region) -> None:
    """Their keepers run, and know where they are."""
    for one in regions:
        one.keep()
    witness = regions[0].configuration.open()
    until(lambda: {"east", "west"} <= set(witness.keepers()), seconds=60, what="both keepers have registered")
    until(lambda: witness.held("east", "one") == 1, seconds=60, what="east knows that it is its turn")


def test_a_region_that_is_cut_off_from_the_witness_stops_before_the_other_begins(regions, tmp_path: Path) -> None:
    east, west, port = regions
    with Relay(("127.0.0.1", port)) as relay:
        east.file.write_text(east.file.read_text().replace(f"127.0.0.1:{port}", f"127.0.0.1:{relay.port}"))
        kept(east, west)
        with writing(east.server) as writer:
            relay.cut()
            turn = turns.take(west.configuration, planned=False)
            promoted_at = time.monotonic()
            with writing(west.server, first=1_000_000) as other:
                pass
        assert not turn.fenced
        assert max(writer.acknowledged.values()) < min(other.acknowledged.values())
        assert max(writer.acknowledged.values()) < promoted_at
        # Nobody can start it again: not by hand, not after a restart of the keeper.
        assert (east.server.kind.data / FENCED).exists()
        with pytest.raises(Exception, match="does not start"):
            east.server.start()
        # It comes back: it is told that it was fenced in a term that is not its own, and stays shut.
        relay.mend()
        witness = west.configuration.open()
        until(lambda: witness.all_fenced(turn.term, ["east"]), seconds=60, what="east says that it is fenced")
        assert (east.server.kind.data / FENCED).exists()


def test_a_witness_that_comes_back_a_hand_over_and_a_region_that_is_lost(regions, tmp_path: Path) -> None:
    """One after the other, as starting two regions takes longest."""
    east, west, port = regions
    # A witness that was away, and says the same as before, opens the region again.
    with Relay(("127.0.0.1", port)) as relay:
        east.file.write_text(east.file.read_text().replace(f"127.0.0.1:{port}", f"127.0.0.1:{relay.port}"))
        kept(east, west)
        relay.cut()
        fenced = east.server.kind.data / FENCED
        until(fenced.exists, seconds=60, what="east is fenced")
        until(lambda: east.server.pid is None, seconds=60, what="the fenced server is gone")
        relay.mend()
        until(lambda: not fenced.exists(), seconds=60, what="east is open again")
        east.server.start()
        # A planned hand-over loses nothing, and what waited for it begins.
        with process(["manage.py", "await_primary"], tmp_path / "waits.log", DATABASE_URL=west.server.url) as waits:
            until(lambda: b"follows another" in (tmp_path / "waits.log").read_bytes(), seconds=60, what="it waits")
            with writing(east.server) as writer:
                began = time.monotonic()
                told = command(west, "take", "--planned")
                assert "west writes: term 2" in told
                assert "east/one: PostgreSQL ended by itself, at 0/" in told
                assert "all that the other region wrote is here" in told
                print(f"planned: {time.monotonic() - began:.1f} s")
            assert waits.wait(60) == 0
    assert set(writer.acknowledged) <= written(west.server)
    told = json.loads(command(west, "status"))
    assert told == {
        "term": {"number": 2, "holder": "west", "planned": True}, "keepers": {"east": ["one"], "west": ["one"]}
    }  # fmt: skip
    # East is made a copy of west, and its keeper knows. West is lost; what it had not sent is all that is lost with it.
    east.stop()
    with standby_of(west.server) as copy:
        back = region("east", copy, tmp_path, port)
        try:
            back.keep()
            witness = back.configuration.open()
            until(lambda: witness.held("east", "one") == 0, seconds=60, what="east knows that it is a copy")
            with writing(west.server, first=1_000_000) as writer:
                west.stop()
                west.server.kill()
                lost_at = time.monotonic()
                assert "east writes: term 3" in command(back, "take")
                took = time.monotonic() - lost_at
            missing = set(writer.acknowledged) - written(copy)
            # Streaming without waiting for the other side: what was under way.
            rpo = lost_at - min([writer.acknowledged[number] for number in missing], default=lost_at)
            print(f"lost: RTO {took:.1f} s, RPO {rpo:.3f} s, {len(missing)} of {len(writer.acknowledged)} writes")
            assert rpo < 5
            with writing(copy, first=2_000_000) as now:
                # The region that was lost comes back, and somebody in a hurry starts its PostgreSQL without its keeper.
                west.server.start()
                west.keep()
                until(lambda: west.server.pid is None, seconds=60, what="the old primary is ended")
                count = len(now.acknowledged)
                until(lambda: len(now.acknowledged) > count + 10, seconds=60, what="who writes is left alone")
            assert (west.server.kind.data / FENCED).exists()
            with pytest.raises(Exception, match="does not start"):
                west.server.start()
            assert written(copy) >= set(now.acknowledged)
            until(lambda: witness.all_fenced(3, ["west"]), seconds=60, what="west says that it is fenced")
            assert witness.ends(3, ["west"]) == {"west/one": End(KILLED)}
        finally:
            back.stop()


def test_a_planned_hand_over_promotes_only_what_ended_in_good_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "SEEN", 0.1)
    history = tmp_path / "pg_wal" / "00000002.history"
    history.parent.mkdir()
    promote = f"import pathlib; pathlib.Path({str(history)!r}).write_text('1\\t0/3000148\\tno target\\n')"
    with witness_etcd(tmp_path) as port:
        here = Configuration(
            "erip", "west", "one", tmp_path, 1.0, (sys.executable, "-c", promote), (("127.0.0.1", port),)
        )
        witness = here.open()
        witness.take("east", None, planned=False)
        witness.register("east", "one", 1)
        witness.register("east", "two", 0)
        for end, why in (
            (End(KILLED), "east/one: PostgreSQL was killed"),
            (None, "does not say how"),
            (End(FOLLOWED), "no PostgreSQL there wrote"),
        ):
            witness.say_fenced(2, "east", "one", end)
            witness.say_fenced(2, "east", "two", End(FOLLOWED))
            with pytest.raises(TermError, match=why):
                turns.take(here, planned=True)
            assert not history.exists(), "nothing is promoted"
        # In another term it said something else.
        assert witness.ends(3, ["east"]) == {"east/one": None, "east/two": None}
        for at, whole in ((0x3000028, True), (0x3000148, False)):
            history.unlink(missing_ok=True)
            witness.say_fenced(2, "east", "one", End(ENDED, at))
            told: list[str] = []
            assert turns.take(here, planned=True, report=told.append).whole is whole
            assert f"east/one: PostgreSQL ended by itself, at 0/{at:X}" in told
            assert ("NOT ALL" in told[-1]) is not whole
        # Without a trace of the promotion nobody knows.
        assert turns.take(here, planned=True).whole is None


def test_a_planned_hand_over_that_would_end_in_nobody_writing_changes_nothing(tmp_path: Path) -> None:
    with witness_etcd(tmp_path) as port:
        here = Configuration("erip", "west", "one", tmp_path, 1.0, ("true",), (("127.0.0.1", port),))
        witness, etcd = here.open(), Etcd([("127.0.0.1", port)], timeout=5.0)
        witness.take("east", None, planned=False)
        witness.register("east", "one", 1)
        # As a keeper of the release before registers.
        etcd.put("/region/erip/keepers/east/two", "0", lease=0)
        etcd.put("/region/erip/keepers/west/one", "0", lease=0)
        with pytest.raises(TermError, match="the keepers of east/two are of a release"):
            turns.take(here, planned=True)
        term = witness.term()
        assert term is not None
        assert (term.number, term.holder) == (1, "east")
        witness.register("east", "two", 0)
        assert witness.silent(["east", "west"]) == ["west/one"]
        witness.forget("east", "two")
        etcd.put("/region/erip/keepers/east/two", "0", lease=0)
        assert witness.silent(["east"]) == ["east/two"]
        # Whoever takes over from a region that is lost waits for no keeper's word.
        witness.say_fenced(2, "east", "one", None)
        witness.say_fenced(2, "east", "two", None)
        assert turns.take(here, planned=False).term == 2


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    with witness_etcd(tmp_path) as port:
        yield Etcd([("127.0.0.1", port)], timeout=5.0)


def test_a_turn_is_taken_once(etcd: Etcd) -> None:
    witness = Witness(etcd, "erip")
    before = witness.take("east", None, planned=False)
    assert witness.take("west", before, planned=False).number == 2
    with pytest.raises(TermError, match="somebody else"):
        witness.take("south", before, planned=False)
    with pytest.raises(TermError, match="somebody else"):
        witness.take("south", None, planned=False)
    assert witness.all_fenced(2, ["east"]) is False, "nobody there can tell"
    witness.register("east", "one", 1)
    witness.register("east", "two", 0)
    witness.say_fenced(2, "east", "one")
    assert witness.all_fenced(2, ["east"]) is False
    assert witness.all_fenced(2, ["east"], but="two") is True
    witness.say_fenced(2, "east", "two")
    assert witness.all_fenced(2, ["east"]) is True
    assert witness.all_fenced(3, ["east"]) is False, "that was another term"
    witness.forget("east", "two")
    assert (witness.keepers(), witness.held("east", "one"), witness.said("east", "one")) == ({"east": ["one"]}, 1, 2)


def test_what_the_witness_holds_and_is_no_term_decides_nothing(etcd: Etcd) -> None:
    witness = Witness(etcd, "erip")
    for text in ("", "7", "[]", '{"number": "x"}', '{"number": 1, "holder": "west"}'):
        etcd.put("/region/erip/term", text, lease=0)
        with pytest.raises(TermError, match="no term"):
            witness.term()
