"""One frame: what the processes report, what the probes saw, and what waits in the database."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from monitoring import store
from monitoring.conf import conf
from monitoring.controls.results import Status
from monitoring.controls.standing import watched as watched_by
from monitoring.core.components import SILENT_AFTER, UP, Observation, Verdict
from monitoring.core.frames import TICK
from monitoring.core.rates import Counted, Rates
from monitoring.core.series import Series, parse, series
from monitoring.store import recovery, work
from monitoring.store.controls import latest_results

#: ids are made by the clocks of the web processes, and rows appear when they are committed: new runs are counted this
#: many seconds later
_LATER = 5
_ACCEPTED = "erip_runs_accepted_total"
_LOGGED = series("erip_events_logged_total")
#: seconds ahead in which a deadline is near
_NEAR = 3_600.0
#: what a check says, as a number; the rest is unknown, and has no value
_SHOWN = {Status.HOLDS: 0.0, Status.FAILS: 1.0}
#: seconds between two looks at what changes once a day
_SELDOM = 60.0


class Gathering:
    """Remembers the counters of the last look, so that the next one gives rates. For one thread."""

    def __init__(self) -> None:
        self._processes, self._servers = Rates(), Rates()
        self._accepted: dict[Series, float] | None = None
        #: events that had taken effect at the last look, and when that was; how many more since the one before
        self._logged: tuple[int, datetime] | None = None
        self._more_logged: dict[Series, float] = {}
        #: seconds since the last backup and drill, and when that was asked for
        self._ages: dict[str, float] = {}
        self._aged_at: datetime | None = None

    def counted(self) -> tuple[dict[Series, float], float]:
        """How much each counter rose between the last two looks, and the seconds between them."""
        counted = {**self._processes.counted, **self._servers.counted, **(self._accepted or {}), **self._more_logged}
        return counted, self._processes.seconds

    def reports(self, reports: Iterable[store.Reported], now: datetime) -> dict[Series, tuple[bool, float]]:
        """Series of the processes → (whether it is a rate, its value), added up over the processes of a kind.

        now: when the reports were read, by the database's clock."""
        moment = now.timestamp()
        gauges: defaultdict[Series, float] = defaultdict(float)
        lives = []
        for one in reports:
            counters = {}
            for name, value in zip(one.series, one.values, strict=False):
                try:
                    found = parse(name[1:]).labelled(component=one.kind)
                except ValueError:
                    continue  # of a release that writes names in another way
                if name.startswith("+"):
                    counters[found] = value
                elif not one.ended and one.age <= SILENT_AFTER:
                    gauges[found] += value
            lives.append(Counted(one.life, moment - one.age, one.started_at.timestamp(), counters))
        rates = self._processes.look(lives, moment)
        return {
            **{found: (False, value) for found, value in gauges.items()},
            **{found: (True, value) for found, value in rates.items()},
        }

    def probes(self, seen: Iterable[Observation], now: float) -> dict[Series, tuple[bool, float]]:
        """The same for what the probes of this process measured. A measure that is too old is left out: it is unknown.

        now: seconds since the epoch, by this process's clock, which the observations go by."""
        found: dict[Series, tuple[bool, float]] = {}
        lives = []
        for one in seen:
            if now - one.at > one.good_for:
                continue
            counters = {}
            for name, value in one.measures.items():
                if parse(name).metric.endswith("_total"):
                    counters[parse(name)] = value
                else:
                    found[parse(name)] = (False, value)
            if counters:
                lives.append(Counted((one.component, one.identity), one.at, None, counters))
        found.update({name: (True, value) for name, value in self._servers.look(lives, now).items()})
        return found

    def verdicts(self, verdicts: Iterable[Verdict]) -> dict[Series, tuple[bool, float]]:
        """The same for what is said of the components. What is unknown has no value."""
        return {
            series("erip_component_up", component=one.component): (False, UP[one.state])
            for one in verdicts
            if one.state in UP
        }

    def work(self, at: datetime) -> dict[Series, tuple[bool, float]]:
        """The same for what waits. Raises django.db.Error."""
        found: dict[Series, tuple[bool, float]] = {}
        for lane, load in work.lane_loads().items():
            found[series("erip_lane_waiting_steps", lane=lane)] = (False, float(load.waiting))
            found[series("erip_lane_oldest_wait_seconds", lane=lane)] = (False, load.oldest)
            if load.rate is not None:
                found[series("erip_lane_capacity_steps", lane=lane)] = (False, load.rate)
        until = at - timedelta(seconds=_LATER)
        accepted = work.runs_accepted(since=until - timedelta(seconds=TICK), until=until)
        if self._accepted is None:
            self._accepted = {known.series: 0.0 for known in store.read_series(_ACCEPTED)}
        # They are counted in the database: a workflow that is not among them had none, which is not unknown.
        self._accepted = dict.fromkeys(self._accepted, 0.0) | {
            series(_ACCEPTED, workflow=workflow): float(count) for workflow, count in accepted.items()
        }
        found.update({one: (True, count / TICK) for one, count in self._accepted.items()})
        found.update(self._events(at))
        if frameworks := conf().frameworks:
            watched = watched_by(frameworks)
            for name, one in latest_results().items():
                if name in watched and one.status in _SHOWN:
                    found[series("erip_control_failing", control=name)] = (False, _SHOWN[one.status])
        found[series("erip_steps_unknown")] = (False, float(work.unknown_steps()))
        past, near, nearest = work.deadlines(within=_NEAR)
        found[series("erip_run_deadlines_past")] = (False, float(past))
        found[series("erip_run_deadlines_near")] = (False, float(near))
        if nearest is not None:
            found[series("erip_run_next_deadline_seconds")] = (False, nearest)
        for kind, age in self._last_recorded(at).items():
            found[series(f"erip_{kind}_age_seconds")] = (False, age)
        return found

    def _events(self, at: datetime) -> dict[Series, tuple[bool, float]]:
        """The rate of events since the last look; nothing at the first, and where partitions were dropped."""
        before, now = self._logged, work.events_logged()
        self._logged, self._more_logged = (now, at), {}
        if before is None or now < before[0] or at <= before[1]:
            return {}
        self._more_logged = {_LOGGED: float(now - before[0])}
        return {_LOGGED: (True, (now - before[0]) / (at - before[1]).total_seconds())}

    def _last_recorded(self, at: datetime) -> dict[str, float]:
        """Seconds since each kind of recovery record was last made. Raises django.db.Error."""
        ago = (at - self._aged_at).total_seconds() if self._aged_at else _SELDOM
        if not 0 <= ago < _SELDOM:
            self._ages, self._aged_at, ago = recovery.ages(), at, 0.0
        return {kind: age + ago for kind, age in self._ages.items() if kind in ("backup", "drill")}
