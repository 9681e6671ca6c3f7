"""What the node guard decides, without a process or a port."""

import pytest

from erip.ops.guard import cluster as clusters
from erip.ops.guard.configuration import BadConfiguration, read
from erip.ops.guard.etcd import Entry
from erip.ops.guard.judgement import CUT_OFF, PATRONI_SILENCE, POSTMASTER_SILENCE, Do, Judge, Look, Postmaster
from erip.ops.guard.probes import Reach
from erip.ops.guard.suspicion import REFUSALS, SILENCE, look
from erip.ops.guard.votes import ballot, unanimous

PREFIX = "/service/erip/"


def a_look(now=100.0, **changed):
    """A leader in good health."""
    healthy = {
        "patroni_runs": True,
        "patroni_heard": now,
        "postmaster": Postmaster.RUNS,
        "postmaster_heard": now,
        "leads": True,
        "led": True,
        "outside_heard": now,
    }
    return Look(now=now, **{**healthy, **changed})


def judged(look):
    return Judge(look.now).judge(look).do


def after_watching(look):
    """By a judge that has been awake all the time."""
    judge = Judge(look.now - 10)
    for tenth in range(100, 0, -1):
        judge.judge(a_look(look.now - tenth / 10))
    return judge.judge(look).do


def test_a_healthy_node_is_left_alone():
    assert judged(a_look()) is Do.NOTHING


@pytest.mark.parametrize(
    "fault",
    [
        {"patroni_runs": False},
        {"postmaster": Postmaster.CRASHED},
        {"postmaster_heard": 100.0 - POSTMASTER_SILENCE},
        {"patroni_heard": 100.0 - PATRONI_SILENCE},
    ],
    ids=["Patroni died", "postmaster died", "postmaster frozen", "Patroni frozen"],
)
class TestFaults:
    def test_a_leader_is_fenced(self, fault):
        assert after_watching(a_look(**fault)) is Do.FENCE

    def test_the_postgresql_of_a_standby_is_left_alone(self, fault):
        assert after_watching(a_look(leads=False, **fault)) is not Do.FENCE

    def test_nobody_is_fenced_while_etcd_does_not_say_who_leads(self, fault):
        assert after_watching(a_look(leads=None, **fault)) is not Do.FENCE

    def test_nobody_is_fenced_while_the_cluster_is_paused(self, fault):
        assert after_watching(a_look(paused=True, **fault)) is not Do.FENCE


def test_a_dead_patroni_of_a_standby_is_started_again():
    assert judged(a_look(leads=False, patroni_runs=False)) is Do.RESTART


def test_a_postmaster_that_stopped_in_good_order_is_patronis_business():
    assert judged(a_look(postmaster=Postmaster.ABSENT, postmaster_heard=0.0)) is Do.NOTHING


def test_a_patroni_that_waits_for_etcd_since_its_start_is_not_frozen():
    assert judged(a_look(patroni_heard=None)) is Do.NOTHING


def test_a_judge_that_slept_itself_holds_no_silence_against_others():
    judge = Judge(0.0)
    judge.judge(a_look(0.0))
    asleep_until = 20.0
    frozen = {"postmaster_heard": 0.0, "patroni_heard": 0.0}
    assert judge.judge(a_look(asleep_until, **frozen)).do is Do.NOTHING
    # Awake from then on, it gives everyone the whole time again.
    for tenths in range(1, int(POSTMASTER_SILENCE * 10)):
        assert judge.judge(a_look(asleep_until + tenths / 10, **frozen)).do is Do.NOTHING
    assert judge.judge(a_look(asleep_until + POSTMASTER_SILENCE, **frozen)).do is Do.FENCE


class TestCutOff:
    """A leader that hears neither etcd nor another member."""

    ALONE = {"leads": None, "outside_heard": 100.0 - CUT_OFF}

    def test_it_is_fenced(self):
        assert after_watching(a_look(**self.ALONE)) is Do.FENCE

    def test_not_before_its_time(self):
        assert after_watching(a_look(leads=None, outside_heard=100.1 - CUT_OFF)) is Do.NOTHING

    @pytest.mark.parametrize(
        "otherwise",
        [{"led": False}, {"paused": True}, {"leads": False}, {"postmaster": Postmaster.ABSENT}],
        ids=["a standby", "paused", "another leads", "nothing to stop"],
    )
    def test_nobody_else_is(self, otherwise):
        assert after_watching(a_look(**{**self.ALONE, **otherwise})) is Do.NOTHING

    def test_a_judge_that_slept_itself_asks_again_first(self):
        judge = Judge(0.0)
        assert judge.judge(a_look(20.0, leads=None, outside_heard=0.0)).do is Do.NOTHING


# --- suspicion ------------------------------------------------------------------------------------------


def after(*looks, revision=7, step=0.1):
    held = None
    for number, (patroni, postgres) in enumerate(looks):
        held = look(held, number * step, revision, patroni, postgres)
    return held, (len(looks) - 1) * step


REFUSED, SILENT, ANSWERS = (Reach.REFUSED, Reach.REFUSED), (Reach.SILENT, Reach.SILENT), Reach.ANSWERS


def test_two_refused_ports_are_believed_after_several_looks():
    held, now = after(*[REFUSED] * (REFUSALS - 1))
    assert not held.ripe(now)
    held, now = after(*[REFUSED] * REFUSALS)
    assert held.ripe(now)


def test_silence_is_believed_later_than_a_refusal():
    held, now = after(*[SILENT] * REFUSALS)
    assert not held.ripe(now)
    assert held.ripe(SILENCE)


def test_a_port_that_was_silent_once_keeps_the_slower_rule():
    held, now = after(SILENT, *[REFUSED] * REFUSALS)
    assert not held.ripe(now)


@pytest.mark.parametrize("answer", [(ANSWERS, Reach.REFUSED), (Reach.REFUSED, ANSWERS), (ANSWERS, Reach.SILENT)])
def test_one_port_that_answers_ends_the_suspicion(answer):
    held, _ = after(*[REFUSED] * REFUSALS, answer)
    assert held is None


def test_a_suspicion_does_not_pass_to_the_next_leadership():
    held, now = after(*[REFUSED] * REFUSALS)
    held = look(held, now, 8, *REFUSED)
    assert not held.ripe(now)


# --- votes ----------------------------------------------------------------------------------------------


def entry(key, value, revision=1):
    return Entry(key, value, revision, revision, 0)


def a_cluster(**changed):
    state = {
        "leader": entry(f"{PREFIX}leader", "a", 7),
        "sync": entry(f"{PREFIX}sync", '{"leader":"a","sync_standby":"b,c","quorum":1}'),
        **changed,
    }
    return clusters.read(PREFIX, {one.key: one for one in state.values() if one})


def votes(*names, leader="a", revision=7):
    return {name: entry(f"/v/{name}", ballot(entry("", leader, revision))) for name in names}


def test_the_key_goes_when_every_synchronous_standby_has_voted():
    cluster, cast = a_cluster(), votes("b", "c")
    assert unanimous(cluster, cast) == [cluster.sync, cast["b"], cast["c"]]


def test_it_stays_while_one_of_them_may_still_confirm_commits():
    assert unanimous(a_cluster(), votes("b")) is None
    assert unanimous(a_cluster(), votes("b", "x")) is None


def test_a_vote_against_an_earlier_leadership_does_not_count():
    assert unanimous(a_cluster(), {**votes("b"), **votes("c", revision=6)}) is None
    assert unanimous(a_cluster(), {**votes("b"), **votes("c", leader="b")}) is None


def test_without_synchronous_standbys_nobody_may_take_the_key():
    assert unanimous(a_cluster(sync=None), votes("b", "c")) is None
    alone = entry(f"{PREFIX}sync", '{"leader":"a","sync_standby":null,"quorum":0}')
    assert unanimous(a_cluster(sync=alone), votes("b", "c")) is None


def test_standbys_of_another_leader_say_nothing_about_this_one():
    former = entry(f"{PREFIX}sync", '{"leader":"b","sync_standby":"a,c","quorum":1}')
    assert a_cluster(sync=former).voters == frozenset()


# --- what Patroni wrote ---------------------------------------------------------------------------------


def test_members_and_pause_are_read_and_nonsense_counts_as_absent():
    conn, api = "postgres://10.0.0.1:5432/postgres", "http://10.0.0.1:8008/patroni"
    good = entry(f"{PREFIX}members/a", f'{{"conn_url":"{conn}","api_url":"{api}"}}')
    bad = entry(f"{PREFIX}members/b", "{")
    config = entry(f"{PREFIX}config", '{"pause":true}')
    found = a_cluster(good=good, bad=bad, config=config)
    assert found.members == {"a": clusters.Member(("10.0.0.1", 8008), ("10.0.0.1", 5432))}
    assert found.paused
    assert found.led_by("a")
    assert not found.led_by("b")


def test_the_guard_reads_patronis_own_file_and_names_what_is_missing(tmp_path):
    from tests.unit.erip.ops.test_deploy import a_patroni

    file = tmp_path / "patroni.yml"
    file.write_text(a_patroni().render())
    found = read(file)
    assert found.leader_key == "/service/erip/leader"
    assert found.postgres == ("127.0.0.1", 5432)
    assert found.etcd == (("127.0.0.1", 2379),) * 3
    file.write_text("scope: erip\n")
    with pytest.raises(BadConfiguration, match="etcd3"):
        read(file)
