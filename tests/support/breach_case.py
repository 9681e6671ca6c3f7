"""People who answer a breach in the console, each in a browser of their own, with nothing but what the pages show."""

import base64
import json
import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from tests.support.browser import Browser

PASSWORD: Final = "a-long-password-7"
#: seconds for which something is waited for
PATIENCE: Final = 150.0
TEAM: Final = {
    "sam": ["soc-lead"],
    "cia": ["ciso"],
    "cleo": ["ceo"],
    "dana": ["dpo"],
    "ina": ["incident-commander"],
}
#: run by `manage.py shell`
MAKE_THEM: Final = f"""
from django.contrib.auth.models import Group, Permission, User
may = Permission.objects.filter(codename__in=(
    "add_vote", "view_approvaltask", "view_legalclock", "change_legalclock", "view_workflowrun", "view_componentstate"))
for name, groups in {TEAM!r}.items():
    user = User.objects.create_user(name, f"{{name}}@example.org", {PASSWORD!r}, is_staff=True)
    user.groups.set(Group.objects.get_or_create(name=group)[0] for group in groups)
    user.user_permissions.set(may)
"""
#: a field by what its label begins with
_FIELD: Final = """(() => { const label = [...document.querySelectorAll('label')].find(
    (one) => one.textContent.trim().toLowerCase().startsWith(%s.toLowerCase()));
  if (!label) return false;
  const field = document.getElementById(label.htmlFor); field.value = %s; return true; })()"""
_LINK: Final = """[...document.querySelectorAll('main a')].find((one) => one.textContent.includes(%s))"""
_VOTED: Final = "[...document.querySelectorAll('[data-part=votes] strong')].some((one) => one.textContent === %s)"
_PLACE: Final = """Math.floor([...document.querySelectorAll('h2')].find(
    (one) => one.textContent.trim() === %s).getBoundingClientRect().top) - 20"""
_BUTTON: Final = """[...document.querySelectorAll('main button')].find((one) => one.textContent.trim() === %s)"""


class Person:
    """Somebody at a browser. url: of the platform."""

    def __init__(self, name: str, tab: Browser, url: str) -> None:
        self.name, self.tab, self.url = name, tab, url

    def sign_in(self) -> None:
        # A local stack has an authority of its own, which no browser knows.
        self.tab.call("Security.setIgnoreCertificateErrors", ignore=True)
        self.tab.shape(1280, 900, dark=False)
        self.tab.go(f"{self.url}/admin/login/?next=/console/")
        for field, value in (("username", self.name), ("password", PASSWORD)):
            self.tab.run(f"document.querySelector('input[name={field}]').value = {json.dumps(value)}")
        self.tab.follow("document.querySelector('form [type=submit]').click()")
        assert "Needs you" in self.text, self.text

    @property
    def text(self) -> str:
        said: str = self.tab.run("document.body.innerText")
        return said

    def home(self) -> str:
        """What Home says."""
        self.tab.go(f"{self.url}/console/")
        return self.text

    def finds(self, title: str) -> None:
        """Open what Home lists under a title with these words, once it does."""
        link = _LINK % json.dumps(title)

        def opened() -> bool:
            self.home()
            if not self.tab.run(f"Boolean({link})"):
                return False
            self.tab.follow(f"{link}.click()")
            return bool(self.tab.run("Boolean(document.querySelector('h1'))")) and title in self.text

        self._until(opened, f"finds {title}")

    def votes(self, title: str, choice: str, *, comment: str = "", form: Mapping[str, str] | None = None) -> None:
        """Find what is asked for, and vote on it. Where no answer comes, or one that says that nothing is known, look
        again, and vote if it was not taken: as somebody at a browser does."""
        self.finds(title)
        place = self.tab.run("location.href")

        def done() -> bool:
            if self._says("has voted") or not self.tab.run(f"Boolean({_BUTTON % json.dumps(choice)})"):
                self.tab.go(place)
            if self.tab.run(_VOTED % json.dumps(f"user:{self.name}")):
                return True
            if not self.tab.run(f"Boolean({_BUTTON % json.dumps(choice)})"):
                return False
            for label, value in {"Comment": comment, **(form or {})}.items():
                assert self.tab.run(_FIELD % (json.dumps(label), json.dumps(value))), f"{label} in {self.text}"
            self.tab.follow(f"{_BUTTON % json.dumps(choice)}.click()")
            assert "Your vote was not taken" not in self.text, self.text
            return self._says("The run goes on", "Your vote counts", "It is refused")

        self._until(done, f"votes on {title}")

    def files(self, title: str, reference: str) -> None:
        """Find a legal clock, and file it with its proof."""
        self.finds(title)
        assert self.tab.run(_FIELD % (json.dumps("Reference"), json.dumps(reference)))
        self.tab.follow(f"{_BUTTON % json.dumps('File')}.click()")
        assert self._says("It is filed"), self.text

    def picture(self, name: str, begins: str = "", tall: int = 6_000) -> None:
        """Keep what is seen, if somebody wants to look at it. begins: the heading at its top. tall: in pixels."""
        if folder := os.environ.get("ERIP_PICTURES"):
            whole = self.tab.run("document.documentElement.scrollHeight")
            # As tall as the page: what stays at the edge of a window must not lie over what is between.
            self.tab.shape(1280, min(whole, 16_000), dark=False)
            top = self.tab.run(_PLACE % json.dumps(begins)) if begins else 0
            clip = {"x": 0, "y": top, "width": 1280, "height": min(tall, whole - top), "scale": 1}
            taken = self.tab.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)["data"]
            (Path(folder) / f"{name}.png").write_bytes(base64.b64decode(taken))
            self.tab.shape(1280, 900, dark=False)

    def _says(self, *some: str) -> bool:
        text = self.text
        return any(one in text for one in some)

    def _until(self, holds: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, f"{self.name} {what}; the page says: {self.text[:2000]}"


def skip(connection: Any, run: str, seconds: float) -> None:
    """Let this time pass for a run: all that it waits for, its approvals and its legal clocks are that much nearer.

    connection: as the platform's own role. Nothing but moments is changed: also those that deadlines are counted from,
    because whoever files a clock counts it again."""
    with connection.cursor() as cursor:
        for statement in (
            "UPDATE workflows_steprun SET due_at = due_at - make_interval(secs => %s)"
            " WHERE run_id = %s AND state = 'WAITING' AND due_at IS NOT NULL",
            "UPDATE workflows_approvaltask SET opened_at = opened_at - make_interval(secs => %s),"
            " next_at = next_at - make_interval(secs => %s) WHERE run_id = %s AND closed_at IS NULL",
            "UPDATE clocks_legalclock SET since = since - make_interval(secs => %s),"
            " due_at = due_at - make_interval(secs => %s), arguable_until = arguable_until - make_interval(secs => %s),"
            " next_rung_at = next_rung_at - make_interval(secs => %s) WHERE run_id = %s",
            "UPDATE clocks_legalcase SET as_of = as_of - make_interval(secs => %s) WHERE run_id = %s",
        ):
            cursor.execute(statement, [*[seconds] * (statement.count("%s") - 1), run])
        for table in ("clocks_legalclock", "clocks_legalcase"):
            cursor.execute(f"SELECT id::text, facts::text FROM {table} WHERE run_id = %s", [run])
            for id_, facts in cursor.fetchall():
                earlier = json.dumps(_earlier(json.loads(facts), timedelta(seconds=seconds)))
                cursor.execute(f"UPDATE {table} SET facts = %s::jsonb WHERE id::text = %s", [earlier, id_])
    connection.commit()


def _earlier(value: Any, by: timedelta) -> Any:
    """With every moment in it that much earlier."""
    if isinstance(value, dict):
        return {name: _earlier(one, by) for name, one in value.items()}
    if isinstance(value, list):
        return [_earlier(one, by) for one in value]
    if isinstance(value, str) and "T" in value:
        try:
            return (datetime.fromisoformat(value) - by).isoformat()
        except ValueError:
            return value
    return value
