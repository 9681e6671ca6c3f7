"""The autoscaler itself: at every round it measures, asks the policy and has the driver carry it out."""

import threading

import structlog
from django.db import connection

from erip.foundation.db.connections import drop_connection
from erip.foundation.db.failures import ERRORS, is_passing
from erip.foundation.process import alive
from monitoring.scaling import store
from monitoring.scaling.drivers import Driver, ScalingFailed
from monitoring.scaling.policy import Decision, Load, ScalingPolicy, decide

log = structlog.get_logger(__name__)


class Autoscaler:
    """Any number of them may run; one of them decides. Call `run` in one thread."""

    def __init__(self, driver: Driver, policy: ScalingPolicy, *, every: float) -> None:
        """every: seconds between two rounds."""
        self._driver, self._policy, self._every = driver, policy, every
        self._stop = threading.Event()
        self._locked = False

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        """Until `stop`. While PostgreSQL is away the number of replicas stays what it is."""
        while not self._stop.is_set():
            try:
                self._round()
            except ERRORS as error:
                if not is_passing(error):
                    log.exception("autoscaler_round_failed")
                log.warning("autoscaler_interrupted", error=error)
                self._locked = False
                drop_connection()
            except ScalingFailed as error:
                log.error("scaling_failed", target=self._driver.target, error=error)
            except Exception:
                log.exception("autoscaler_round_failed")
            try:
                alive.touch("autoscaler")
            except OSError as error:
                log.error("heartbeat_file_not_written", error=error)
            self._stop.wait(self._every)
        drop_connection()

    def _round(self) -> None:
        if not self._decides():
            return
        before = self._driver.replicas()
        usage = self._driver.usage()
        lanes = store.lane_loads()
        load = Load(lanes, store.rate_of_a_worker(), usage.cpu, usage.memory, usage.full)
        changes, now = store.changes(self._driver.target)
        decision = decide(before, load, changes, self._policy, now=now)
        if decision.replicas != before:
            self._change(before, decision, load)

    def _change(self, before: int, decision: Decision, load: Load) -> None:
        event = store.record(
            self._driver.target,
            before,
            decision.replicas,
            reason=decision.reason,
            emergency=decision.emergency,
            measures=_told(load),
        )
        try:
            self._driver.scale(decision.replicas)
        except ScalingFailed as error:
            store.failed(event, str(error))
            raise
        log.info("scaled", target=self._driver.target, before=before, after=decision.replicas, reason=decision.reason)

    def _decides(self) -> bool:
        if not self._locked or connection.connection is None:
            self._locked = store.try_lock()
            if self._locked:
                log.info("autoscaler_decides", target=self._driver.target)
        return self._locked


def _told(load: Load) -> dict[str, object]:
    lanes = {lane: {"waiting": one.waiting, "oldest_seconds": round(one.oldest, 3)} for lane, one in load.lanes.items()}
    return {"lanes": lanes, "rate": load.rate, "cpu": load.cpu, "memory": load.memory, "full": load.full}
