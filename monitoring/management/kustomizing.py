"""A plan as patches of kustomize for `deploy/k8s`: replicas, requests and limits of our own processes."""

import math
from typing import Any

import yaml

from monitoring.core.planning.demand import Demand
from monitoring.core.planning.sizing import FEWEST, Plan, Pool

#: what a limit of memory leaves above the most that was seen
_ROOM = 1.5
#: ERIP_WEB_WORKERS of the manifests
WEB_PROCESSES = 2


def patches(made: Plan, demand: Demand, *, share: float) -> str | None:
    """The documents, one for each Deployment; None: replicas or memory of one are not known. share: of a core that a
    process should use.

    Frames do not tell critical workers from general ones: workers are shared out as the demanded runs are, two of each
    at the least. There is no limit of processor time, as in the manifests: it would hold a process back that may use
    what nobody else does. Where an autoscaler decides how many there are, the least is set instead.
    """
    by_kind = {pool.kind: pool for pool in made.pools}
    if any(pool.replicas is None or pool.most_memory is None for pool in made.pools):
        return None
    web, worker, leader = (by_kind[kind] for kind in ("web", "worker", "leader"))
    whole = worker.replicas or FEWEST
    critical = max(FEWEST, math.ceil(whole * demand.critical / demand.all_runs)) if demand.all_runs else FEWEST
    pods = max(FEWEST, math.ceil((web.replicas or FEWEST) / WEB_PROCESSES))
    documents: list[dict[str, Any]] = [
        _deployment("erip-web", "web", web, None, share, processes=WEB_PROCESSES),
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "erip-web"},
            "spec": {"minReplicas": pods},
        },
        _deployment("erip-worker-critical", "worker", worker, critical, share),
        _deployment("erip-worker", "worker", worker, None, share),
        _deployment("erip-leader", "leader", leader, leader.replicas, share),
    ]
    least = max(FEWEST, whole - critical)
    return f"# In settings.env: ERIP_AUTOSCALE_MIN={least}\n" + yaml.safe_dump_all(documents, sort_keys=False)


def _deployment(
    name: str, container: str, pool: Pool, replicas: int | None, share: float, *, processes: int = 1
) -> dict[str, Any]:
    """replicas: None where something else decides. processes: of one pod."""
    assert pool.memory is not None
    assert pool.most_memory is not None
    each = min(share, pool.cores.high / (pool.replicas or 1)) if pool.cores is not None else share
    resources = {
        "requests": {
            "cpu": f"{max(50, math.ceil(processes * each * 1000))}m",
            "memory": _mebibytes(processes * pool.memory),
        },
        "limits": {"memory": _mebibytes(processes * pool.most_memory * _ROOM)},
    }
    containers = {"template": {"spec": {"containers": [{"name": container, "resources": resources}]}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {**({"replicas": replicas} if replicas else {}), **containers},
    }


def _mebibytes(value: float) -> str:
    return f"{math.ceil(value / 2**20 / 16) * 16}Mi"
