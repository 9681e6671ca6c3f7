"""Replaces the platform's processes while the stack runs: new ones beside the old, which go on if the new ones fail."""

import time
from collections.abc import Callable, Mapping

from erip.ops.stack import own
from erip.ops.stack.children import Child, Children
from erip.ops.stack.errors import ServerFailed
from erip.ops.stack.processes import kill_group, last_line
from erip.ops.stack.services import Service

#: seconds between two looks
LOOK_EVERY = 0.05
#: seconds within which new processes have to be ready
PATIENCE = 120.0
#: seconds within which old workers hear that they are to end, at most
GOING = 10.0


class Reload:
    """One replacement of all services that run code of the platform."""

    def __init__(
        self,
        children: Children,
        env: Mapping[str, str],
        *,
        serves: Callable[[Child], bool],
        registered: Callable[[set[int]], bool],
        take_more: Callable[[set[int]], bool],
        pause: Callable[[float], None],
    ) -> None:
        """serves: whether a web process serves. registered: whether the workers of these pids do.
        take_more: whether one of these workers still takes steps up. pause: waits."""
        self._children = children
        self._env = env
        self._serves = serves
        self._registered = registered
        self._take_more = take_more
        self._pause = pause
        services = [child for child in children.all if isinstance(child.what, Service) and child.name != "flower"]
        #: Users wait for web and workers; a candidate for the leader would only slow their start down.
        self._first = [child for child in services if child.name.startswith(("web", "worker-"))]
        self._then = [child for child in services if child not in self._first]

    def run(self) -> None:
        """Raises ServerFailed, and leaves the old processes as they are, if a new one does not start."""
        olds = {child.identity.pid for child in self._first if child.name.startswith("worker-") and child.identity}
        self._replace(self._first)
        # What is started from now on runs the new code.
        until = time.monotonic() + GOING
        while self._take_more(olds) and time.monotonic() < until:
            self._pause(LOOK_EVERY)

    def finish(self) -> None:
        """Replace the others too."""
        self._replace(self._then)

    def _replace(self, olds: list[Child]) -> None:
        fresh: list[Child] = []
        try:
            for old in olds:
                child = Child(old.what, old.log, old.rank, restarts=old.restarts)
                fresh.append(child)
                self._children.start(child)
            self._wait_for(fresh)
        except BaseException:
            for child in fresh:
                if child.process is not None:
                    kill_group(child.process)
                    child.process.wait()
            raise
        self._children.replace(olds, fresh)

    def _wait_for(self, fresh: list[Child]) -> None:
        until = time.monotonic() + PATIENCE
        web = [child for child in fresh if child.what.name.startswith("web")]
        pids = {child.identity.pid for child in fresh if child.name.startswith("worker-") and child.identity}
        while not (all(map(self._serves, web)) and self._registered(pids)):
            for child in fresh:
                if child.process is not None and child.process.poll() is not None:
                    raise ServerFailed(self._why(child))
            if time.monotonic() > until:
                raise ServerFailed(f"The new processes were not ready within {PATIENCE:.0f} s.")
            self._pause(LOOK_EVERY)

    def _why(self, child: Child) -> str:
        """The log leaves out what an error quotes, so what keeps the platform from loading is asked anew."""
        check = own.Check(self._env)
        try:
            broken = check.result()
        finally:
            check.stop()
        return str(broken) if broken else f"{child.name} does not start: {last_line(child.log)} (the log: {child.log})"
