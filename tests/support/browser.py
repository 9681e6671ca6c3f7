"""A real browser for tests: Debian's chromium, driven through its debugging pipe, without another package."""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

#: the first that is installed
NAMES = ("chromium", "chromium-browser", "google-chrome")


def program() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One tab. Calls follow the Chrome DevTools Protocol."""

    def __init__(self, reads: int, writes: int) -> None:
        self._reads, self._writes = reads, writes
        self._numbers, self._rest = count(1), b""
        #: what happened since the last page
        self.events: list[dict[str, Any]] = []
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self._session
        os.write(self._writes, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != number:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        found: dict[str, Any] = answer["result"]
        return found

    def go(self, url: str) -> None:
        """Open an address, and wait until it is loaded."""
        self.events = []
        self.call("Page.navigate", url=url)
        self._loaded()

    def follow(self, script: str) -> None:
        """Run a script that leads to another page, and wait until that is loaded."""
        self.events = []
        self.call("Runtime.evaluate", expression=script)
        self._loaded()

    def press(self, key: str) -> None:
        """Press a key that makes no character, such as Tab."""
        for kind in ("keyDown", "keyUp"):
            code = {"Tab": 9, "Enter": 13}[key]
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def _loaded(self) -> None:
        while not any(one.get("method") == "Page.loadEventFired" for one in self.events):
            self.events.append(self._next())

    def run(self, script: str) -> Any:
        """The value of a script in the page; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def shape(self, width: int, height: int, *, dark: bool) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def requests(self) -> tuple[int, int]:
        """How many answers this page took that no cache held, and how many bytes of them came over the wire."""
        held = {
            one["params"]["requestId"] for one in self.events if one.get("method") == "Network.requestServedFromCache"
        }
        sizes = {
            one["params"]["requestId"]: one["params"]["encodedDataLength"]
            for one in self.events
            if one.get("method") == "Network.loadingFinished"
        }
        asked = [
            one["params"]["requestId"]
            for one in self.events
            if one.get("method") == "Network.responseReceived"
            and not one["params"]["response"].get("fromDiskCache")
            and one["params"]["requestId"] not in held
        ]
        return len(asked), sum(int(sizes.get(one, 0)) for one in asked)

    def complaints(self) -> list[str]:
        """What the browser refused or reported on this page: scripts that failed, policies that were violated."""
        return [
            json.dumps(one["params"])[:400]
            for one in self.events
            if one.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")
        ]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._reads, 1 << 20)
            if not more:
                raise RuntimeError("the browser ended")
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """folder: where it keeps its profile."""
    name = program()
    assert name is not None
    its_input, ours_out = os.pipe()
    ours_in, its_output = os.pipe()
    arguments = [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe",
        f"--user-data-dir={folder}", "about:blank",
    ]  # fmt: skip

    def wire() -> None:
        # The browser reads from its descriptor 3 and writes to its 4. Either may be one of these now.
        source, target = fcntl.fcntl(its_input, fcntl.F_DUPFD, 50), fcntl.fcntl(its_output, fcntl.F_DUPFD, 50)
        os.dup2(source, 3)
        os.dup2(target, 4)

    process = subprocess.Popen(
        [name, *arguments], preexec_fn=wire, pass_fds=(3, 4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(its_input)
    os.close(its_output)
    try:
        yield Browser(ours_in, ours_out)
    finally:
        process.terminate()
        process.wait(30)
        os.close(ours_in)
        os.close(ours_out)
