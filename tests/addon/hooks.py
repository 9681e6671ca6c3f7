"""One of everything that an app can add."""

import re

from prometheus_client import CollectorRegistry, Counter
from rest_framework.views import APIView

from erip.foundation import hooks
from erip.foundation.http.light import LightRequest, LightResponse, Route
from erip.foundation.process.probing import Probe

done: list[str] = []
REGISTRY = CollectorRegistry()
Counter("addon_things", "Things.", registry=REGISTRY).inc(7)


class Effect:
    name = "addon"


def quick(request: LightRequest) -> LightResponse:
    return LightResponse.of({"added": True})


@hooks.at_bootstrap("addon")
def seeds() -> int:
    done.append("seeds")
    return 3


hooks.api_urls("tests.addon.urls")
hooks.pages(hooks.Pages("addon/", "tests.addon.urls", script_sources=("'wasm-unsafe-eval'",)))
hooks.light_routes(lambda: [Route(re.compile("/api/v1/addon-quick"), APIView, "GET", quick)])
hooks.menu(hooks.Menu("Addon", (hooks.Link("Page", "star", "addon-page", "addon.view_thing"),), place=1))
hooks.worker_step("tests.addon.steps:Step")
hooks.event_effect(Effect())
hooks.interest(lambda: ["workflow.run.*"])
hooks.probe(Probe("addon", lambda: done.append("probe"), known_for=1.0, patience=1.0))
hooks.metrics(REGISTRY)
hooks.leader_duty(lambda: done.append("duty"))
hooks.at_worker_start(lambda: done.append("warmth"))
