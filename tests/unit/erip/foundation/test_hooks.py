"""An app is entered in INSTALLED_APPS and nowhere else: everything that it adds is found."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from erip.foundation import hooks
from erip.foundation.hooks import Duty, Hook

ROOT = Path(__file__).resolve().parents[4]

#: runs in a process of its own, since apps are loaded once; it needs no server
LOOK = """
import django, json
django.setup()
from types import SimpleNamespace
from django.test import Client
from erip import asgi, health
from erip.access.menu import navigation
from erip.celery import app
from erip.foundation import hooks
from erip.foundation.process.exposition import exposition
from tests.addon.hooks import done, seeds
from workflows.events.pipeline import effect_of

client = Client(headers={"host": "localhost"})
anybody = SimpleNamespace(user=SimpleNamespace(has_perm=lambda name: False))
first = navigation(anybody)[0]
for duty in hooks.leader_duty.all():
    if duty.__module__ == "tests.addon.hooks":
        duty()
hooks.at_worker_start.all()[-1]()
page = client.get("/addon/addon")
seen = {
    "api": client.get("/api/v1/addon").content.decode(),
    "page": page.content.decode(),
    "csp": page.headers["Content-Security-Policy"],
    "light": any(route.path.pattern == "/api/v1/addon-quick" for route in asgi.routes),
    "menu": first["title"],
    "shown": first["items"][0]["permission"](anybody),
    "step": "tests.addon.steps:Step" in app.steps["worker"],
    "effect": effect_of("addon:anything").name,
    "interest": list(hooks.interest.all()[-1]()),
    "ready": client.get("/health/ready").json()["addon"],
    "metrics": "addon_things_total 7.0" in exposition().decode(),
    "seed": ("addon", seeds) in hooks.seeds.all(),
    "done": done,
}
print(json.dumps(seen))
"""


def test_everything_that_an_app_adds_works() -> None:
    found = subprocess.run(
        [sys.executable, "-c", LOOK],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.addon.settings",
            "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    seen = json.loads(found.stdout.splitlines()[-1])
    csp = seen.pop("csp")
    assert "script-src 'self' 'wasm-unsafe-eval'" in csp
    assert seen == {
        "api": "added",
        "page": "added",
        "light": True,
        "menu": "Addon",
        "shown": False,
        "step": True,
        "effect": "addon",
        "interest": ["workflow.run.*"],
        "ready": "ok",
        "metrics": True,
        "seed": True,
        "done": ["duty", "warmth", "probe"],
    }


def test_a_hook_keeps_what_was_added_in_order_and_gives_it_back() -> None:
    hook: Hook[str] = Hook("It is kept.")
    assert [hook(word) for word in ("b", "a")] == ["b", "a"]
    assert hook.all() == ("b", "a")
    with hook.only("c"):
        assert hook.all() == ("c",)
    assert hook.all() == ("b", "a")


def test_a_duty_goes_on_while_there_is_more_and_rests_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    left = [2]
    calls: list[float] = []

    def portion() -> bool:
        calls.append(now[0])
        left[0] -= 1
        return left[0] > 0

    duty = Duty(portion, 60.0)
    for now[0] in (1000.0, 1000.25, 1000.5, 1059.0, 1060.25):
        duty()
    assert calls == [1000.0, 1000.25, 1060.25]


def test_a_duty_that_fails_rests_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    # Otherwise it would fail in every round of the leader, and keep the duties behind it from theirs.
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    calls: list[float] = []

    def fail() -> bool:
        calls.append(now[0])
        raise ValueError("a month that cannot be dropped")

    duty = Duty(fail, 60.0)
    with pytest.raises(ValueError, match="month"):
        duty()
    now[0] += 1.0
    duty()
    assert calls == [1000.0]


def test_what_an_app_does_at_the_start_of_a_process_cannot_keep_it_from_its_work() -> None:
    begun: list[str] = []

    def fail(kind: str) -> None:
        raise ValueError(kind)

    with hooks.process_start.only(fail, begun.append):
        hooks.begin_process("worker")

    assert begun == ["worker"]
