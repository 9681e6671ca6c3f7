"""A PostgreSQL node dies under a client that writes all the time. Real Patroni, etcd, guards and HAProxy, real signals.

The leader key of a dead node lives 20 s: a node that takes writes sooner can do so because of the guards.
"""

import psutil
import pytest

from benchmarks.failover import FAULTS, cut_off, running_trio, strike, writing
from benchmarks.uptime import cut
from erip.ops.stack.processes import wait_until
from tests.support.programs import needs_ha_programs

pytestmark = [needs_ha_programs, pytest.mark.timeout(600)]

LESS_THAN_THE_KEY_LIVES = 15.0


@pytest.fixture(scope="module")
def trio():
    with running_trio() as trio:
        yield trio


@pytest.mark.parametrize(
    "fault", ["Patroni and PostgreSQL killed", "Patroni and PostgreSQL frozen", "node and its guard killed"]
)
def test_writes_go_on_elsewhere_and_no_acknowledged_one_is_lost(trio, fault):
    # Given
    assert wait_until(trio.whole, 90)
    before = trio.roles.postgres_primary()
    with writing(trio) as writer:
        # When
        strike(trio, writer, FAULTS[fault], patience=LESS_THAN_THE_KEY_LIVES)
        # Then
        assert wait_until(lambda: trio.roles.postgres_primary() not in (None, before), 10)
        # the node that died comes back as a standby that counts
        assert wait_until(trio.whole, 90)
    assert len(writer.acknowledged) > 20
    assert writer.lost() == set()


@pytest.mark.skipif(not cut.possible(), reason="cutting a node off takes root, cgroup v2 and BPF")
def test_a_leader_that_is_cut_off_ends_before_the_network_is_back(trio):
    # Given
    assert wait_until(trio.whole, 90)
    before = trio.roles.postgres_primary()
    postmaster = trio.roles.postmaster(before)
    # When
    fault = cut_off(trio, before)
    try:
        # Then: Patroni by itself would let it go on for longer than this
        assert wait_until(lambda: not psutil.pid_exists(postmaster), 7)
        assert wait_until(lambda: trio.roles.postgres_primary() not in (None, before), 15)
    finally:
        fault.heal()
    assert wait_until(trio.whole, 90)
