"""Containers of deploy/k8s as processes: the image's files read-only, the manifests' user, environment, mounts, probes.

What a kubelet does and this does not: limits of memory and CPU, the seccomp profile, a network for each pod.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from erip.ops.image.archive import Image
from erip.ops.release import ROOT

BASE = ROOT / "deploy" / "k8s" / "base"
#: where a kubelet puts the token; /var/run of the image is /run
ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount"
#: seconds for what a quiet machine does in ten; on a busy one a web process became ready after 101
PATIENCE = 600.0


class PodFailed(Exception):
    """A command of the manifests failed; the end of what it wrote."""


def workloads() -> dict[str, dict[str, Any]]:
    """The pods' specs, by the name of their workload."""
    found = [one for path in sorted(BASE.glob("*.yaml")) for one in yaml.safe_load_all(path.read_text()) if one]
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in found if "template" in one.get("spec", {})
    }


def settings() -> dict[str, str]:
    """The ConfigMap erip-settings of the base."""
    lines = (BASE / "settings.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@dataclass(frozen=True)
class Pod:
    """files: the image's. secrets: the folder for each of the pod's volumes that is no emptyDir, by its name.
    changed: what differs from the manifests; an empty value takes a variable away. account: the files of a service
    account, for a pod that has a token."""

    name: str
    image: Image
    files: Path
    folder: Path
    secrets: Mapping[str, Path]
    changed: Mapping[str, str]
    account: Path | None = None

    def prepare(self) -> None:
        """Make the volumes that begin empty. Only root can."""
        user = self.spec["securityContext"]
        for volume in self.spec["volumes"]:
            if "emptyDir" in volume:
                # As a kubelet makes them, with fsGroup.
                at = self.folder / volume["name"]
                at.mkdir()
                os.chown(at, 0, user["fsGroup"])
                at.chmod(0o2777)

    @property
    def spec(self) -> dict[str, Any]:
        return workloads()[self.name]

    def container(self, name: str) -> dict[str, Any]:
        return next(
            one for one in [*self.spec.get("initContainers", []), *self.spec["containers"]] if one["name"] == name
        )

    def words(self, container: Mapping[str, Any], command: Sequence[str], *options: str) -> list[str]:
        """What runs a command in a container of this pod."""
        user = self.spec["securityContext"]
        as_user = [f"--reuid={user['runAsUser']}", f"--regid={user['runAsGroup']}", "--clear-groups"]
        without = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
        apart = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", self.name]
        root = ["--ro-bind", str(self.files), "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run"]
        mounts = [word for mount in container["volumeMounts"] for word in self._mount(mount)]
        if self.account and self.spec.get("automountServiceAccountToken"):
            mounts += ["--ro-bind", str(self.account), ACCOUNT]
        env = [word for name, value in self.environment(container).items() for word in ("--setenv", name, value)]
        how = ["--remount-ro", "/run", "--cap-drop", "ALL", "--clearenv", "--die-with-parent", "--new-session"]
        at = ["--chdir", str(self.image.config["WorkingDir"])]
        sandbox = ["bwrap", *apart, *root, *mounts, *how, *env, *at, *options]
        return ["setpriv", *as_user, *without, "--", *sandbox, "--", *command]

    def environment(self, container: Mapping[str, Any]) -> dict[str, str]:
        """The image's, the ConfigMap's, the container's own, and what differs."""
        env = dict(one.split("=", 1) for one in self.image.config["Env"])
        if any("configMapRef" in one for one in container.get("envFrom", [])):
            env |= settings()
        env |= {one["name"]: one["value"] for one in container.get("env", [])}
        return {name: value for name, value in {**env, **self.changed}.items() if value}

    def run(self, container: str, command: Sequence[str], given: str = "") -> str:
        """What a command prints. Raises PodFailed."""
        words = self.words(self.container(container), command)
        try:
            done = subprocess.run(words, input=given, capture_output=True, text=True, timeout=PATIENCE, check=False)  # noqa: S603
        except subprocess.TimeoutExpired:
            raise PodFailed(f"{self.name}: {' '.join(command)}: not done after {PATIENCE:.0f} s") from None
        if done.returncode:
            raise PodFailed(
                f"{self.name}: {' '.join(command)}: status {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}"
            )
        return done.stdout

    @contextmanager
    def running(self, container: str) -> Iterator["Running"]:
        """The container's own command, until the block ends."""
        spec = self.container(container)
        seen, said = os.pipe()
        log = self.folder / f"{container}.log"
        with log.open("wb") as out:
            words = self.words(spec, spec["command"], "--as-pid-1", "--info-fd", str(said))
            process = subprocess.Popen(words, stdout=out, stderr=out, pass_fds=(said,), stdin=subprocess.DEVNULL)  # noqa: S603
        os.close(said)
        with os.fdopen(seen) as info:
            text = ""
            # Not to the end: who else holds it is bwrap's affair.
            while not text.rstrip().endswith("}") and (line := info.readline()):
                text += line
        found = json.loads(text or "{}")
        one = Running(self, container, process, int(found.get("child-pid", 0)), log)
        try:
            yield one
        finally:
            process.kill()
            process.wait()

    def _mount(self, mount: Mapping[str, Any]) -> list[str]:
        name = mount["name"]
        if name in self.secrets:
            return ["--ro-bind", str(self.secrets[name]), mount["mountPath"]]
        return ["--bind", str(self.folder / name), mount["mountPath"]]


@dataclass(frozen=True)
class Running:
    pod: Pod
    container: str
    process: "subprocess.Popen[bytes]"
    pid: int
    log: Path

    def wait_for(self, probe: str) -> float:
        """Seconds until the probe of the manifest succeeds. Raises PodFailed."""
        asked = self.pod.container(self.container)[probe]
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE and self.process.poll() is None:
            if self._answers(asked):
                return time.monotonic() - began
            time.sleep(0.5)
        raise PodFailed(f"{self.pod.name}: {probe} does not succeed\n{self.log.read_text(errors='replace')[-3000:]}")

    def _answers(self, asked: Mapping[str, Any]) -> bool:
        try:
            if "exec" in asked:
                self.pod.run(self.container, asked["exec"]["command"])
            else:
                named = {one["name"]: one["containerPort"] for one in self.pod.container(self.container)["ports"]}
                socket.create_connection(("127.0.0.1", named[asked["tcpSocket"]["port"]]), 2).close()
        except (PodFailed, OSError):
            return False
        return True

    def end(self) -> tuple[int, float]:
        """SIGTERM, as a kubelet sends it: the exit status, and the seconds that it took. Raises PodFailed."""
        began = time.monotonic()
        os.kill(self.pid, signal.SIGTERM)
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise PodFailed(f"{self.pod.name}: goes on after SIGTERM") from None
        return status, time.monotonic() - began


def programs_lacking() -> list[str]:
    return [one for one in ("bwrap", "setpriv", "unshare", "ip") if shutil.which(one) is None]
