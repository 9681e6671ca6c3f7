"""What an app adds to the platform. The app declares it in its own module `hooks`; no other place lists it.

A hook is a list with a name. When all apps are loaded, the module `hooks` of each app in INSTALLED_APPS is imported, in
that order, and adds what the app brings. The code that uses a hook reads everything that was added to it. So a new app
is entered in INSTALLED_APPS and nowhere else:

    # acme/risk/hooks.py
    from erip.foundation import hooks

    hooks.api_urls("acme.risk.urls")
    hooks.menu(hooks.Menu("Acme", (hooks.Link("Cases", "folder", "admin:risk_case_changelist", "risk.view_case"),)))
    hooks.leader_duty(forget_old_cases)
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any, Generic, TypeVar

import structlog
from django.apps import apps
from django.db import DatabaseError
from django.utils.module_loading import module_has_submodule

from erip.foundation.shipped import Source

log = structlog.get_logger(__name__)

Added = TypeVar("Added")
Loader = TypeVar("Loader", bound=Callable[[], int])

#: libraries whose modules of these names are about something else, and load all of the library
_OTHERS = frozenset({"drf_spectacular", "rest_framework"})


class Hook(Generic[Added]):
    """A place where apps add things. Calling it adds one thing and returns that thing, so it also works as a
    decorator."""

    def __init__(self, meaning: str) -> None:
        """meaning: what happens to the added things, in one sentence."""
        self.meaning = meaning
        self._added: list[Added] = []

    def __call__(self, one: Added) -> Added:
        self._added.append(one)
        return one

    def all(self) -> tuple[Added, ...]:
        """Everything that was added so far, in that order."""
        return tuple(self._added)

    @contextmanager
    def only(self, *these: Added) -> Iterator[None]:
        """For tests: within the block, nothing else was added."""
        before, self._added = self._added, list(these)
        try:
            yield
        finally:
            self._added = before


leader_duty: Hook[Callable[[], object]] = Hook(
    "The leader calls it several times a second; it decides itself whether there is anything to do by now."
)
leader_begins: Hook[Callable[[], object]] = Hook(
    "A process that has just become the leader calls it before any duty, of the platform or of an app: whatever must be"
    " brought up to date before something is removed or goes on."
)
at_worker_start: Hook[Callable[[], object]] = Hook(
    "Every worker calls it before it takes its first run: it fills a cache, and its result is not looked at."
)
at_web_start: Hook[Callable[[], object]] = Hook(
    "Every web process calls it before it takes its first request, as workers do with `at_worker_start`: it fills a"
    " cache that a first request would otherwise wait for."
)

#: functions of (names of obligations)
obligation_times: Hook[Callable[[Sequence[str]], Mapping[str, float]]] = Hook(
    "It gives the seconds that these obligations leave, those that it knows with a fixed time."
)

#: functions of (codes of duties)
duty_faults: Hook[Callable[[Sequence[str]], Mapping[str, str]]] = Hook(
    "It says of these duties, which a definition starts clocks for, what is wrong with them; nothing of those that are"
    " as they should be."
)

process_start: Hook[Callable[[str], object]] = Hook(
    "Every process of the platform calls it once it runs, with its kind: `web`, `worker`, `leader`, `autoscaler`."
)


def begin_process(kind: str) -> None:
    """This process of the platform has started. What an app does about it never keeps the process from its work."""
    for begin in process_start.all():
        try:
            begin(kind)
        except Exception:
            log.exception("process_start_failed", hook=f"{begin.__module__}.{getattr(begin, '__qualname__', begin)}")


#: functions of (the error, what was asked for: the method and the pattern of the path)
request_failed: Hook[Callable[[BaseException, str], object]] = Hook(
    "It is called with an error that a request ended with before it came to Django, and that nobody foresaw. Django"
    " announces those of its own requests with `got_request_exception`."
)


def announce_failed_request(error: BaseException, asked: str) -> None:
    """A request ended with an unforeseen error before it came to Django. What an app does about it changes no
    answer."""
    for note in request_failed.all():
        try:
            note(error, asked)
        except Exception:
            log.exception("request_error_not_noted", hook=getattr(note, "__qualname__", repr(note)))


@dataclass(slots=True)
class RunFailure:
    """Something of a run failed, and no attempt of a step says why.

    step: "" of the run itself. code, message: of its error. count: how many items of the step failed so.
    """

    run_id: str
    workflow: str
    version_id: int
    step: str
    code: str
    message: str
    count: int = 1


run_failed: Hook[Callable[[RunFailure], object]] = Hook(
    "It is called with each failure in a run that no attempt of a step explains, by the process that recorded it."
)


def announce_run_failures(failures: Iterable[RunFailure]) -> None:
    """These are recorded. What an app does about them changes nothing of the runs."""
    for failure in failures:
        for note in run_failed.all():
            try:
                note(failure)
            except Exception:
                log.exception("run_failure_not_noted", hook=getattr(note, "__qualname__", repr(note)))


class Duty:
    """A periodic duty of the leader. Calling it does nothing until the next time is due.

    do: does a portion, and returns whether there is more, which the next round then does.
    every: seconds until the next call when there was no more.
    """

    def __init__(self, do: Callable[[], object], every: float) -> None:
        self.do = do
        self._every = every
        self._at = 0.0

    def __call__(self) -> None:
        if time.monotonic() < self._at:
            return
        # Also set before the call: a duty that always fails must not fail in every round and keep the other duties
        # waiting.
        self._at = time.monotonic() + self._every
        self._at = 0.0 if self.do() else time.monotonic() + self._every


def periodic_duty(every: float) -> Callable[[Callable[[], object]], Duty]:
    """Make the leader call this at the given interval; a result of True means that there is more to do at once."""

    def register(do: Callable[[], object]) -> Duty:
        duty = Duty(do, every)
        leader_duty(duty)
        return duty

    return register


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature flag: operators turn it on or off, for all or for some, without a deployment.

    name: lower-case letters, digits, `.`, `_` and `-`. meaning: what happens while it is off, in one sentence.
    on: what the release says; a kill switch is on. unknown: what holds while nobody could ever read what operators say.
    about: the kinds of things that it is asked about, such as `user` and `space`; it can be turned on or off for each
    of them. share_of: what a percentage is a share of, such as `callers`; "": it is asked about nobody in particular.
    """

    name: str
    meaning: str
    on: bool = False
    unknown: bool = False
    about: tuple[str, ...] = ()
    share_of: str = ""


feature: Hook[Feature] = Hook("`erip.access.flags.asking.is_on` says whether it is on.")

# What PostgreSQL lets the application's role do with a table: `erip.foundation.db.privileges`. Tables that no app names
# may be read and written.
append_only: Hook[str] = Hook(
    "The application may add rows to this table and read them. PostgreSQL refuses it to change or to remove one."
)
unchanging: Hook[str] = Hook(
    "The application may add rows to this table, read and remove them. PostgreSQL refuses it to change one."
)
kept: Hook[str] = Hook(
    "The application may add rows to this table, read and change them. PostgreSQL refuses it to remove one."
)
looked_up: Hook[str] = Hook("The application may only read this table.")
confidential: Hook[str] = Hook("The role that only reads does not see this table.")
walled: Hook[tuple[str, str]] = Hook(
    "A table, and of which of its rows callers of some spaces may be shown something, as SQL: Note [Second wall] in"
    " `erip.foundation.db.walls`. The condition may name other tables that have one."
)
open_to_all: Hook[tuple[str, str]] = Hook(
    "A table that is about no space, and why reads on behalf of callers of some spaces need it."
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the audit log records of a table: Note [Recorded changes] in `erip/audit/changes.py`.

    only: of these columns alone; () is all. beside: and of these, when a statement sets one of `only`. hashed: of
    these a hash. without: not these, which the platform itself keeps writing. verbs: which kinds of change.
    """

    table: str
    only: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ("INSERT", "UPDATE", "DELETE")


recorded: Hook[Recorded] = Hook(
    "The audit log records changes of this table so. Tables that no app names are recorded."
)
#: (table, why)
unrecorded: Hook[tuple[str, str]] = Hook("The audit log does not record the rows of this table, for this reason.")

#: functions that return `erip.audit.retention.Hold`s
audit_holds: Hook[Callable[[], Any]] = Hook("No entry of the audit log from these spans of time is removed.")

#: functions of a cursor
as_owner: Hook[Callable[[Any], object]] = Hook(
    "`manage.py migrate` calls it as the database's owner, where the application has a role of its own."
)

#: dotted names of URL modules
api_urls: Hook[str] = Hook("Its addresses stand under /api/v1.")


@dataclass(frozen=True, slots=True)
class Pages:
    """Pages for people, under a prefix of their own.

    prefix: as `reports/`; urls: the dotted name of their URL module.
    script_sources: what their Content-Security-Policy allows for scripts beyond the platform's own, such as
    "'unsafe-eval'".
    """

    prefix: str
    urls: str
    script_sources: tuple[str, ...] = ()


pages: Hook[Pages] = Hook("Its pages stand under the prefix.")

#: `erip.foundation.http.light.Route`s; functions that return them, since they read the settings
light_routes: Hook[Callable[[], Any]] = Hook("The light path answers these addresses itself.")


@dataclass(frozen=True, slots=True)
class Link:
    """One line of the admin's menu. url: the name of a URL. permission: a user without it does not see the line."""

    title: str
    icon: str
    url: str
    permission: str = ""


@dataclass(frozen=True, slots=True)
class Menu:
    """A section of the admin's menu. Sections of the same title become one.

    place: sections of a lower number are further up.
    """

    title: str
    links: tuple[Link, ...]
    place: int = 50


menu: Hook[Menu] = Hook("The admin's menu shows it.")

#: a link's `permission` may be several, separated by spaces: one of them opens it
console_page: Hook[Menu] = Hook("The console's menu shows it.")


@dataclass(frozen=True, slots=True)
class Need:
    """Something that waits for a person. urgent: it comes first. detail: one sentence. since: since when; None: not
    known."""

    title: str
    url: str
    detail: str = ""
    urgent: bool = False
    since: datetime | None = None


#: functions of a function that says whether the viewer has a permission. They read what is shared by all viewers, never
#: the database for one of them
needs_me: Hook[Callable[[Callable[[str], bool]], Iterable[Need]]] = Hook(
    "The console's first page lists what it returns."
)

#: functions of a request that return HTML (a SafeString), or "" for those who may not see it
home_section: Hook[Callable[[Any], str]] = Hook("The admin's first page shows what it returns.")


@dataclass(frozen=True, slots=True)
class Related:
    """Something that belongs to a run: a line on its page in the admin. url: where to find it; "" is no link."""

    title: str
    url: str = ""


#: functions of (request, the run as `workflows.queries.run_detail` gives it); they ask for the permission themselves
related_to_run: Hook[Callable[[Any, Mapping[str, Any]], Iterable[Related]]] = Hook(
    "The admin's page of a run shows what it returns."
)

#: functions of (method, path, the client's address, the status, the caller's principal or "")
refused_at_door: Hook[Callable[[str, str, str, int, str], object]] = Hook(
    "It is called on the event loop when a caller is refused before the request is read."
)

#: `package.module.function` of a function of (the route, the request, the values in its path) that returns a context
#: manager; only web processes load it
light_door: Hook[str] = Hook("It surrounds what the light path does for a request, inside the request's own context.")

#: `package.module:Class` of Celery bootsteps
worker_step: Hook[str] = Hook("It starts and ends with each Celery worker.")

#: functions of (the workflow's name, its former space) that return sentences: what they have ended, and what they could
#: not end. "" is no space: nobody but those who see everything heard of it there.
workflow_left_space: Hook[Callable[[str, str], Iterable[str]]] = Hook(
    "It is called in the transaction in which a workflow's space changes, once it is elsewhere."
)

#: objects like `workflows.events.effects.Effect`
event_effect: Hook[Any] = Hook("Consumers have it act on every event, in the order in which effects were added.")

#: functions that return patterns of the lifecycle events wanted at the moment; they read the database
interest: Hook[Callable[[], Any]] = Hook("About once a second it is asked which lifecycle events somebody wants.")

#: `erip.foundation.process.probing.Probe`s
probe: Hook[Any] = Hook("/health/ready asks it, and reports it by its name; a failure makes the answer `degraded`.")

#: prometheus_client registries
metrics: Hook[Any] = Hook("Its metrics are collected with the platform's.")

shipped: Hook[Source] = Hook("`manage.py shipped` shows what it ships, and bootstrap says what it leaves alone.")

seeds: Hook[tuple[str, Callable[[], int]]] = Hook("`manage.py bootstrap` calls it.")


def at_bootstrap(name: str) -> Callable[[Loader], Loader]:
    """Make `manage.py bootstrap` call this function. It returns how much it loaded: 0 when everything was there
    already."""

    def register(load: Loader) -> Loader:
        seeds((name, load))
        return load

    return register


def load_seeds() -> Mapping[str, int]:
    """Run the bootstrap functions of the apps. Returns how much each of them loaded."""
    return {name: load() for name, load in seeds.all()}


def warm_up(loaders: Hook[Callable[[], object]]) -> None:
    """Fill the caches of this process: `at_worker_start` or `at_web_start`. Whatever cannot be read now is read when it
    is needed."""
    for load in loaders.all():
        try:
            load()
        except DatabaseError as error:
            name = f"{load.__module__}.{getattr(load, '__qualname__', load)}"
            log.warning("cache_left_cold", loader=name, error=error)


def discover() -> None:
    """Import the modules `hooks` and `permissions` of every installed app."""
    for app in apps.get_app_configs():
        if app.name not in _OTHERS:
            for name in ("hooks", "permissions"):
                if module_has_submodule(app.module, name):
                    import_module(f"{app.name}.{name}")
