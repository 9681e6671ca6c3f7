"""The autoscaler on the real database: one process decides; changes and failures are recorded."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, connections

from monitoring.scaling import store
from monitoring.scaling.drivers import ScalingFailed, Usage
from monitoring.scaling.kubernetes import KubernetesDriver, quantity
from monitoring.scaling.loop import Autoscaler
from monitoring.scaling.models import ScalingEvent
from monitoring.scaling.policy import ScalingPolicy
from tests.definitions import CHAIN, publish
from tests.support.api import Api, key
from tests.support.kubernetes import Cluster, cluster
from tests.workers import until
from workflows import engine
from workflows.conf import conf

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path) as made:
        yield made


def driver(pods: Cluster) -> KubernetesDriver:
    return KubernetesDriver(pods.deployment, server=pods.server, account=pods.account)


def policy(**limits: float) -> ScalingPolicy:
    return ScalingPolicy(conf().lanes, **{"up_cooldown": 0.0, "down_cooldown": 0.0, **limits})


@contextmanager
def running(scaler: Autoscaler) -> Iterator[None]:
    def run() -> None:
        try:
            scaler.run()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        scaler.stop()
        thread.join(20)


def flood(runs: int) -> None:
    engine.start_runs("chain", [engine.StartRequest({"times": 1})] * runs, principal="t")


def test_a_deployment_is_read_and_scaled_with_the_token_of_the_moment(pods: Cluster) -> None:
    asked = driver(pods)
    assert (asked.target, asked.replicas()) == ("risk/erip-worker", 2)
    pods.renew_token("second-token")
    asked.scale(7)
    assert pods.patches == [7]
    assert asked.replicas() == 7
    pods.replicas = 0
    assert asked.replicas() == 0
    assert asked.usage() == Usage()


def test_usage_is_the_share_of_what_the_deployment_asks_for(pods: Cluster) -> None:
    pods.cpu, pods.memory = "200000000n", "192Mi"
    assert driver(pods).usage() == Usage(cpu=pytest.approx(0.8), memory=pytest.approx(0.75))
    pods.metrics = False
    assert driver(pods).usage() == Usage(), "a cluster without metrics knows nothing"


@pytest.mark.parametrize(("text", "number"), [("250m", 0.25), ("1.5", 1.5), ("512Mi", 2**29), ("12345n", 1.2345e-5)])
def test_quantities_are_read(text: str, number: float) -> None:
    assert quantity(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "many", "5Zi"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        quantity(text)


def test_outside_of_a_cluster_the_driver_says_so(tmp_path: Path) -> None:
    with pytest.raises(ScalingFailed, match="no pod"):
        KubernetesDriver("erip-worker", account=tmp_path)


@pytest.mark.usefixtures("no_chunks")
def test_a_flood_scales_up_and_its_end_scales_down_with_reasons(pods: Cluster) -> None:
    publish(CHAIN)
    flood(20_000)  # 350 a second are assumed of each, 15 s until standard work ages: four replicas
    with running(Autoscaler(driver(pods), policy(), every=0.05)):
        until(lambda: pods.replicas == 4, what="scaled up")
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE workflows_steprun SET state = 'SUCCEEDED', finished_at = now() WHERE state = 'READY'"
            )
        until(lambda: pods.replicas == 2, what="scaled down to the minimum")
    up, *_, down = ScalingEvent.objects.order_by("id")
    assert (up.direction, up.before, up.after, up.target) == ("up", 2, 4, "risk/erip-worker")
    assert "20000 steps wait" in up.reason
    assert up.measures["lanes"]["standard"]["waiting"] == 20_000
    assert (down.direction, down.after) == ("down", 2)
    assert not ScalingEvent.objects.exclude(error="").exists()


def test_only_one_of_two_autoscalers_decides_and_the_other_takes_over(pods: Cluster) -> None:
    publish(CHAIN)
    pods.replicas = 1
    first = Autoscaler(driver(pods), policy(fewest=3), every=0.05)
    with running(first):
        until(lambda: pods.replicas == 3)
        with running(Autoscaler(driver(pods), policy(fewest=5), every=0.05)):
            pods.replicas = 1
            until(lambda: pods.replicas == 3)
            assert 5 not in pods.patches
            first.stop()
            until(lambda: pods.replicas == 5, what="the other one decides now")


def test_a_refused_change_is_recorded_with_its_error_and_tried_again(pods: Cluster) -> None:
    pods.refuse, pods.replicas = 403, 1
    failed = ScalingEvent.objects.filter(error__contains="403")
    with running(Autoscaler(driver(pods), policy(), every=0.05)):
        until(failed.exists)
        assert pods.replicas == 1
        pods.refuse = 0
        until(lambda: pods.replicas == 2)
    assert not ScalingEvent.objects.exclude(pk__in=failed).exclude(error="").exists()


def test_the_database_refuses_a_change_that_is_none() -> None:
    with pytest.raises(IntegrityError):
        ScalingEvent.objects.create(target="x", direction="up", before=3, after=3, reason="none")


def test_the_api_lists_changes_newest_first_page_by_page() -> None:
    for after in range(3, 8):
        store.record("risk/erip-worker", 2, after, reason=f"for {after}", emergency=after == 7, measures={"cpu": 0.9})
    store.record("other", 3, 2, reason="less", emergency=False, measures={})
    api = Api(key())
    first = api.get("/scaling", target="risk/erip-worker", limit=3).json()
    rest = api.get("/scaling", target="risk/erip-worker", cursor=first["next_cursor"]).json()
    assert [item["after"] for item in first["items"] + rest["items"]] == [7, 6, 5, 4, 3]
    assert first["items"][0]["emergency"]
    assert first["items"][0]["measures"] == {"cpu": 0.9}
    assert rest["next_cursor"] is None
    assert Api().get("/scaling").status_code == 401
    assert api.get("/scaling", cursor="x").status_code in (400, 422)
    assert api.get("/scaling", cursor=str(10**30)).status_code in (400, 422)
