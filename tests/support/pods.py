"""Runs a container of deploy/k8s as the kubelet would, without Kubernetes: its very command, environment, files, user
and probes, as a process with a read-only root in a mount namespace, and in a network namespace. Only root can.
"""

import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from erip.ops.kubernetes import kustomize
from erip.ops.stack.state import ROOT
from tests import workers
from tests.support import containerfile
from tests.support.namespaces import Namespace, refused

#: the contents of Secrets: by name, then by key
Secrets = Mapping[str, Mapping[str, str]]
#: what the image says itself, as far as it is true of a checkout
_IMAGE: Final = {
    name: value
    for name, value in containerfile.stages()[-1].environment.items()
    if name not in ("PATH", "ERIP_STATIC_ROOT")
}
_ACCOUNT: Final = "/run/secrets/kubernetes.io/serviceaccount"
#: who runs in the image
_USER: Final = 10001
_NO_RIGHTS: Final = ("--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")
_APART: Final = ("unshare", "--mount", "--propagation=private", "--", "/bin/sh", "-ec")
#: no folder of the node's
_OWN_RUN: Final = "mount -t tmpfs -o mode=755 tmpfs /run"
#: What a test needs is below it, too: it stays as it is.
_SAME_TMP: Final = "mount --bind /tmp /tmp"
_READ_ONLY: Final = "mount -o remount,bind,ro /"


@dataclass
class Pod:
    """One pod. `folder` holds its volumes and its log. `container` is the one that is run."""

    document: Mapping[str, Any]
    folder: Path
    room: Namespace
    settings: Mapping[str, str]
    secrets: Secrets
    #: what Kubernetes itself adds to each container
    more: Mapping[str, str] = field(default_factory=dict)
    #: of the pod that has a token: the files of its account
    account: Path | None = None
    #: the name of the one that is run; by default the only one
    called: str = ""
    process: subprocess.Popen[bytes] = field(init=False)

    @property
    def name(self) -> str:
        return str(self.document["metadata"]["name"])

    @property
    def spec(self) -> dict[str, Any]:
        return kustomize.pod_of(self.document) or {}

    @property
    def container(self) -> dict[str, Any]:
        (only,) = [one for one in kustomize.containers(self.document) if self.called in ("", one["name"])]
        return only

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self) -> None:
        self._prepare()
        with self.log.open("ab") as output:
            self.process = self._run(self.container["command"], stdout=output, stderr=output, start_new_session=True)

    def probe(self, which: str) -> bool:
        """Ask once, as the kubelet does. Kubernetes' own time is too short for a busy machine."""
        asked = self.container[which]
        assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}; log: {self.log}"
        if "tcpSocket" in asked:
            return self.room.run(lambda: _answers(self._port(asked["tcpSocket"]["port"])))
        with (self.folder / which).open("wb") as output:
            return self._run(asked["exec"]["command"], stdout=output, stderr=output).wait(120) == 0

    def passes(self, which: str, *, seconds: float = 300.0) -> None:
        """Wait until the probe succeeds, asking as often as the manifest says."""
        deadline = time.monotonic() + seconds
        while not self.probe(which):
            assert time.monotonic() < deadline, f"{self.name}: {which} failed for {seconds} s; log: {self.log}"
            time.sleep(self.container[which]["periodSeconds"])

    def kill(self) -> None:
        if hasattr(self, "process"):
            workers.kill(self.process)

    def _port(self, name: str) -> int:
        return next(int(one["containerPort"]) for one in self.container["ports"] if one["name"] == name)

    # --- what the kubelet does before it starts a container -----------------------------------------------

    def environment(self) -> dict[str, str]:
        """What the container says itself wins; the image says least."""
        found: dict[str, str] = dict(_IMAGE)
        for source in self.container.get("envFrom", []):
            if "configMapRef" in source:
                found |= self.settings
            else:
                reference = source["secretRef"]
                absent = {} if reference.get("optional") else None
                content = self.secrets.get(reference["name"], absent)
                assert content is not None, f"{self.name} waits for the Secret {reference['name']}"
                found |= content
        found |= {one["name"]: one["value"] for one in self.container.get("env", [])}
        return {**found, **self.more}

    def _volumes(self) -> dict[str, Path]:
        return {one["name"]: self.folder / "volumes" / one["name"] for one in self.spec["volumes"]}

    def _prepare(self) -> None:
        user = self.spec["securityContext"]["runAsUser"]
        group = self.spec["securityContext"]["fsGroup"]
        for volume in self.spec["volumes"]:
            path = self._volumes()[volume["name"]]
            path.mkdir(parents=True, exist_ok=True)
            # Whatever the umask is here.
            path.chmod(0o755)
            if "emptyDir" in volume:
                os.chown(path, user, group)
                continue
            how = volume.get("projected") or volume["secret"]
            # One Secret as a volume calls it `secretName`, one of several `name`.
            for secret in [one["secret"] for one in how["sources"]] if "sources" in how else [how]:
                content = self.secrets[secret.get("name") or secret["secretName"]]
                there = [one for one in secret["items"] if one["key"] in content or not secret.get("optional")]
                for item in there:
                    file = path / item["path"]
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.parent.chmod(0o755)
                    file.write_text(content[item["key"]])
                    os.chown(file, 0, group)
                    file.chmod(how["defaultMode"])

    def _run(self, command: Sequence[str], **how: Any) -> subprocess.Popen[bytes]:
        security = self.spec["securityContext"]
        ids = [f"--reuid={security['runAsUser']}", f"--regid={security['runAsGroup']}"]
        inside = ["setpriv", *ids, *_NO_RIGHTS, "--", *command]
        script = "\n".join([*self._mounts(), f"exec {shlex.join(inside)}"])
        words = [*_APART, script]
        # As in the image, `python` is that with all the packages.
        path = f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        env = {"PATH": path, "HOME": "/tmp", **self.environment()}
        return self.room.run(lambda: subprocess.Popen(words, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, **how))

    def _mounts(self) -> Iterator[str]:
        assert self.container["securityContext"]["readOnlyRootFilesystem"]
        yield _OWN_RUN
        for mount in self.container["volumeMounts"]:
            source, target = self._volumes()[mount["name"]], mount["mountPath"]
            if target == "/tmp":
                yield _SAME_TMP
                continue
            yield f"mkdir -p {target}"
            yield f"mount --bind {shlex.quote(str(source))} {target}"
            if mount.get("readOnly"):
                yield f"mount -o remount,bind,ro {target}"
        if self.spec.get("automountServiceAccountToken") and self.account:
            yield f"mkdir -p {_ACCOUNT}"
            yield f"mount --bind {shlex.quote(str(self.account))} {_ACCOUNT}"
        yield _READ_ONLY


def forbidden(root: Path = ROOT) -> str:
    """What forbids pods on this machine, or nothing. A container may have no right to mount, and whoever is no root may
    reach neither this project nor its Python, when they are in folders of root's alone.
    """
    reads = (sys.executable, "-c", "import manage")
    inside = ("setpriv", f"--reuid={_USER}", f"--regid={_USER}", *_NO_RIGHTS, "--", *reads)
    script = "\n".join([_OWN_RUN, _SAME_TMP, _READ_ONLY, f"exec {shlex.join(inside)}"])
    return refused((*_APART, script), root)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 30).close()
    except OSError:
        return False
    return True


@contextmanager
def running(pods: Sequence[Pod]) -> Iterator[None]:
    """All of them, started; gone at the end whatever happens."""
    try:
        for one in pods:
            one.start()
        yield
    finally:
        for one in pods:
            one.kill()
