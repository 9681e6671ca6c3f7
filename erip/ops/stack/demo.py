"""The demo: one incident through the breach-response workflow, by REST as any client would do it."""

import json
import ssl
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from erip.foundation.os_errors import in_words
from erip.ops.stack import control, progress
from erip.ops.stack.errors import StackError
from erip.ops.stack.state import ROOT, State, read_json

WORKFLOW = "breach-response"
SAMPLE = ROOT / "workflows" / "library" / "samples" / "incident.json"
ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT"})
STEP_ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "SKIPPED", "UNKNOWN"})
RUN_SECONDS = 120.0
# Steps off the critical path (the notification) run after the outcome; the timeline waits for them this long.
REST_SECONDS = 20.0
SUCCEEDED, FAILED, BAD_INPUT = 0, 1, 2


class BadInput(Exception):
    """The workflow does not accept the incident; one line for each fault."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class Refused(Exception):
    """The API answered with an error: status and problem document (RFC 9457)."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(status)
        self.status = status
        self.problem = problem

    def __str__(self) -> str:
        return f"The API answered {self.status}: {self.problem.get('detail') or self.problem.get('title') or ''}"

    @property
    def faults(self) -> list[str]:
        named = [f"{fault['path']}: {fault['message']}" for fault in self.problem.get("faults", [])]
        return named or [str(self)]


class Api:
    """The REST API of a running stack. context: `control.front_context`."""

    def __init__(self, url: str, key: str, context: ssl.SSLContext | None = None) -> None:
        self.url = url
        self.key = key
        self._context = context

    def start(self, body: dict[str, Any], *, wait: int, workflow: str = WORKFLOW) -> dict[str, Any]:
        """The run; finished if it ended within `wait` seconds. Raises Refused."""
        return self._call("POST", f"/workflows/{workflow}/runs", body, {"Prefer": f"wait={wait}"}, wait + 10)

    def run(self, run_id: str) -> dict[str, Any]:
        """The run with its steps. Raises Refused."""
        return self._call("GET", f"/runs/{run_id}", None, {}, 10)

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str], seconds: float
    ) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 (the stack's own address)
            f"{self.url}/api/v1{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={
                "Authorization": f"Bearer {self.key}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                **headers,
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=seconds, context=self._context) as answer:  # noqa: S310  # nosec B310
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            raise Refused(error.code, _problem(error)) from None
        except OSError as error:
            raise StackError(f"The API at {self.url} does not answer ({in_words(error)}); see `make logs`.") from None
        return dict(found)


def run(state: State, path: Path | None, *, as_json: bool) -> int:
    """Run the incident in `path` (default: the sample) and show the result; returns the exit status."""
    try:
        incident = read_incident(path or SAMPLE)
        if path is None:
            # The sample happened this morning, whenever it is run: its deadlines are then still to come.
            incident |= just_now(datetime.now(UTC))
        with control.running(state) as stack:
            key = read_json(state.credentials).get("api_key")
            web = stack.url("web")
            if not key or not web:
                raise StackError("The running stack has no API key; run `make down`, then try again.")
            with progress.console().status(f"running {WORKFLOW} …"):
                finished = follow(Api(web, str(key), control.front_context(state, web)), incident)
    except BadInput as error:
        return _refuse(error.faults, as_json)
    except Refused as error:
        if error.status in (400, 413, 422):
            return _refuse(error.faults, as_json)
        raise StackError(str(error)) from None
    if as_json:
        print(json.dumps(finished, indent=2))
    else:
        from erip.ops.stack.demo_screen import show

        show(finished)
    return SUCCEEDED if finished["status"] == "SUCCEEDED" else FAILED


def just_now(now: datetime) -> dict[str, str]:
    """The sample incident's own moment, a few hours before `now`."""
    return {"detected_at": f"{now - timedelta(hours=3):%Y-%m-%dT%H:%M:%SZ}"}


def read_incident(path: Path) -> dict[str, Any]:
    """The workflow's input. Raises BadInput."""
    try:
        incident = json.loads(path.read_text())
    except FileNotFoundError:
        raise BadInput([f"{path}: there is no such file"]) from None
    except IsADirectoryError:
        raise BadInput([f"{path}: is a folder, not a JSON file"]) from None
    except UnicodeDecodeError:
        raise BadInput([f"{path}: is not a text in UTF-8"]) from None
    except json.JSONDecodeError as error:
        raise BadInput([f"{path}:{error.lineno}:{error.colno}: is not JSON: {error.msg}"]) from None
    except RecursionError:
        raise BadInput([f"{path}: is nested too deeply"]) from None
    if not isinstance(incident, dict):
        raise BadInput([f"{path}: must hold a JSON object, the workflow's input"])
    return incident


def follow(api: Api, incident: dict[str, Any]) -> dict[str, Any]:
    """Start the run and wait for its outcome, and a little for the steps that come after it. Raises Refused."""
    body: dict[str, Any] = {"input": incident}
    if isinstance(key := incident.get("breach_id"), str) and key:
        body["business_key"] = key[:200]
    run_id = str(api.start(body, wait=10)["id"])
    deadline = time.monotonic() + RUN_SECONDS
    while (found := api.run(run_id))["status"] not in ENDED:
        if time.monotonic() > deadline:
            raise StackError(f"The run {run_id} is {found['status']} after {RUN_SECONDS:.0f} s; see `make logs`.")
        time.sleep(0.2)
    deadline = time.monotonic() + REST_SECONDS
    while any(step["status"] not in STEP_ENDED for step in found["steps"]) and time.monotonic() < deadline:
        time.sleep(0.1)
        found = api.run(run_id)
    return found


def _problem(error: urllib.error.HTTPError) -> dict[str, Any]:
    try:
        problem = json.load(error)
    except ValueError:
        return {"title": error.reason}
    return problem if isinstance(problem, dict) else {}


def _refuse(faults: list[str], as_json: bool) -> int:
    """Every fault on a line of its own."""
    if as_json:
        print(json.dumps({"error": "bad input", "faults": faults}, indent=2))
    else:
        for fault in faults:
            progress.error(fault)
    return BAD_INPUT
