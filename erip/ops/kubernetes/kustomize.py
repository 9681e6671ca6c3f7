"""Builds an overlay as `kubectl kustomize` does, without kubectl: what deploy/k8s uses of kustomize, and nothing else.

Whatever it does not know is refused with its place: it must not be left out of what is checked. A test compares each
overlay and component with what kubectl builds of it.
"""

import copy
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from erip.foundation.os_errors import in_words

Document = dict[str, Any]

#: kinds that stand in no namespace
CLUSTER_WIDE: Final = frozenset({"Namespace", "PriorityClass"})
#: the same as SafeLoader, in C where there is it
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KNOWN: Final = frozenset(
    {
        "apiVersion",
        "kind",
        "namespace",
        "resources",
        "components",
        "configMapGenerator",
        "replicas",
        "patches",
        "images",
    }
)
_REPLICAS_KEYS: Final = frozenset({"name", "count"})
_IMAGES_KEYS: Final = frozenset({"name", "newName", "newTag", "digest"})
_COUNTED: Final = frozenset({"Deployment", "StatefulSet", "ReplicaSet"})
#: a name may have a port of its registry
_IMAGE: Final = re.compile(r"(?P<name>.+?)(?P<version>(:[^/:@]+)?(@.+)?)")
#: kustomize writes a hash without the characters that could make words of it
_NO_WORDS: Final = str.maketrans("013ae", "ghkmt")


class KustomizeError(Exception):
    """A kustomization that cannot be built; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Built:
    """One object of an overlay.

    source: the file that it comes from, such as `base/web.yaml`; the folder of what a generator made.
    """

    document: Document
    source: Path

    @property
    def key(self) -> tuple[str, str]:
        """(kind, name)"""
        return key_of(self.document)


def key_of(document: Mapping[str, Any]) -> tuple[str, str]:
    return document["kind"], document["metadata"]["name"]


def build(folder: Path, *, components: Iterable[Path] = ()) -> list[Built]:
    """The objects of the kustomization in the folder, as if it named these components too. Raises KustomizeError."""
    found, settings = _collect(folder.resolve(), [], {}, components)
    return _named_by_content(found, settings)


def documents(folder: Path, *, components: Iterable[Path] = ()) -> list[Document]:
    """The same, without where they come from."""
    return [one.document for one in build(folder, components=components)]


# One ConfigMap is collected from several files: its content by name.
_Settings = dict[str, dict[str, str]]


def _collect(
    folder: Path, found: list[Built], settings: _Settings, components: Iterable[Path] = ()
) -> tuple[list[Built], _Settings]:
    place = folder / "kustomization.yaml"
    (asked,) = _read(place)
    if unknown := sorted(asked.keys() - _KNOWN):
        raise KustomizeError(f"{place}: {', '.join(unknown)}: not known here")
    found, settings = list(found), {name: dict(one) for name, one in settings.items()}
    for name in asked.get("resources", []):
        at = (folder / name).resolve()
        if at.is_dir():
            more, theirs = _collect(at, [], {})
            found += more
            settings |= theirs
        else:
            found += [Built(one, at) for one in _read(at) if one]
    for each in [*(folder / name for name in asked.get("components", [])), *components]:
        found, settings = _collect(each.resolve(), found, settings)
    for one in asked.get("configMapGenerator", []):
        _generate(one, folder, settings)
    for number, patch in enumerate(asked.get("patches", [])):
        found = _patched(found, patch, f"{place}: patches[{number}]")
    found = [Built(copy.deepcopy(one.document), one.source) for one in found]
    _checked(asked, found, place)
    for one in found:
        _placed(one.document, asked.get("namespace"))
        _counted(one.document, asked.get("replicas", []))
        _imaged(one.document, asked.get("images", []))
    if len({one.key for one in found}) != len(found):
        raise KustomizeError(f"{place}: two objects have the same kind and name")
    return found, settings


def _read(place: Path) -> list[Any]:
    try:
        return list(yaml.load_all(place.read_text(), Loader=_LOADER))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise KustomizeError(in_words(error, place)) from error


# --- settings ---------------------------------------------------------------------------------------------


def _generate(asked: Mapping[str, Any], folder: Path, settings: _Settings) -> None:
    if unknown := asked.keys() - {"name", "namespace", "behavior", "envs"}:
        raise KustomizeError(f"{folder}: configMapGenerator: {', '.join(sorted(unknown))}: not known here")
    name, behavior = asked["name"], asked.get("behavior", "create")
    if (behavior == "merge") is not (name in settings) or behavior not in ("create", "merge"):
        raise KustomizeError(f"{folder}: configMapGenerator: {name}: {behavior} does not fit what there is")
    for file in asked["envs"]:
        for number, line in enumerate((folder / file).read_text().splitlines(), 1):
            key, equals, value = line.partition("=")
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            # kustomize would take it from the environment of whoever builds.
            if not equals:
                raise KustomizeError(f"{folder / file}:{number}: {key} has no value")
            settings.setdefault(name, {})[key] = value


def hash_of(data: Mapping[str, str]) -> str:
    """The end that kustomize gives the name of a ConfigMap (sigs.k8s.io/kustomize/api/hasher)."""
    # The name is part of what it hashes, but it looks it up where it is not (v5.8 as well).
    text = json.dumps(
        {"data": data, "kind": "ConfigMap", "name": ""}, ensure_ascii=False, separators=(",", ":"), sort_keys=True
    )
    # As Go writes JSON.
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return hashlib.sha256(text.encode()).hexdigest()[:10].translate(_NO_WORDS)


def _named_by_content(found: list[Built], settings: _Settings) -> list[Built]:
    names = {name: f"{name}-{hash_of(data)}" for name, data in settings.items()}
    namespace = next(
        (one.document["metadata"]["namespace"] for one in found if "namespace" in one.document["metadata"]), ""
    )
    made = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": names[name], "namespace": namespace},
            "data": data,
        }
        for name, data in settings.items()
    ]
    for one in found:
        for container in containers(one.document):
            for source in container.get("envFrom", []):
                if "configMapRef" in source:
                    reference = source["configMapRef"]
                    reference["name"] = names.get(reference["name"], reference["name"])
    return [*found, *(Built(one, Path("settings.env")) for one in made)]


# --- what changes an object -------------------------------------------------------------------------------


def pod_of(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """The spec of its pods, of kinds that have any."""
    if document["kind"] == "Pod":
        return document["spec"]  # type: ignore[no-any-return]
    if document["kind"] == "CronJob":
        return document["spec"]["jobTemplate"]["spec"]["template"]["spec"]  # type: ignore[no-any-return]
    template = document.get("spec", {}).get("template") if isinstance(document.get("spec"), dict) else None
    return template.get("spec") if isinstance(template, dict) else None


def containers(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    pod = pod_of(document) or {}
    return [*pod.get("initContainers", []), *pod.get("containers", [])]


def _placed(document: Document, namespace: str | None) -> None:
    if namespace is None:
        return
    if document["kind"] == "Namespace":
        document["metadata"]["name"] = namespace
    elif document["kind"] not in CLUSTER_WIDE:
        document["metadata"]["namespace"] = namespace
    for subject in document.get("subjects", []):
        subject["namespace"] = namespace


def _counted(document: Document, replicas: Iterable[Mapping[str, Any]]) -> None:
    for one in replicas:
        if document["kind"] in _COUNTED and document["metadata"]["name"] == one["name"]:
            document["spec"]["replicas"] = one["count"]


def _imaged(document: Document, images: Iterable[Mapping[str, Any]]) -> None:
    for container in containers(document):
        found = _IMAGE.fullmatch(container["image"])
        for one in images:
            if found and one["name"] == found["name"]:
                if "digest" in one:
                    version = f"@{one['digest']}"
                elif "newTag" in one:
                    version = f":{one['newTag']}"
                else:
                    version = found["version"]
                container["image"] = f"{one.get('newName', found['name'])}{version}"


def _checked(asked: Mapping[str, Any], found: Iterable[Built], place: Path) -> None:
    """That nothing which is said of images and replicas is left out. Raises KustomizeError with all that is."""
    faults = []
    for what, known in (("replicas", _REPLICAS_KEYS), ("images", _IMAGES_KEYS)):
        for number, one in enumerate(asked.get(what, [])):
            at = f"{place}: {what}[{number}]"
            faults += [f"{at}: {key}: not known here" for key in sorted(one.keys() - known)]
            faults += [f"{at}: no {key}" for key in ("name", *({"count"} & known)) if key not in one]
            if {"newTag", "digest"} <= one.keys():
                faults.append(f"{at}: newTag and digest: one of them")
    counted = {one.document["metadata"]["name"] for one in found if one.document["kind"] in _COUNTED}
    for number, one in enumerate(asked.get("replicas", [])):
        if one.get("name") not in counted | {None}:
            faults.append(f"{place}: replicas[{number}]: nothing that has any is called {one['name']}")
    if faults:
        raise KustomizeError("\n".join(faults))


def _patched(found: list[Built], asked: Mapping[str, Any], place: str) -> list[Built]:
    patch = yaml.safe_load(asked["patch"]) if asked.keys() <= {"patch", "target"} and "patch" in asked else None
    if isinstance(patch, dict) and patch.get("$patch") == "delete" and "target" not in asked:
        kept = [one for one in found if one.key != key_of(patch)]
        if len(kept) != len(found) - 1:
            raise KustomizeError(f"{place}: nothing is there to be deleted: {' '.join(key_of(patch))}")
        return kept
    if isinstance(patch, list) and asked.get("target", {}).keys() == {"kind", "name"}:
        target = (asked["target"]["kind"], asked["target"]["name"])
        if target not in {one.key for one in found}:
            raise KustomizeError(f"{place}: there is no {' '.join(target)}")
        changed = [Built(copy.deepcopy(one.document), one.source) if one.key == target else one for one in found]
        for one in changed:
            if one.key == target:
                for operation in patch:
                    _replace(one.document, operation, place)
        return changed
    raise KustomizeError(f"{place}: a kind of patch that is not known here")


def _replace(document: Document, operation: Mapping[str, Any], place: str) -> None:
    """`replace` of JSON Patch (RFC 6902)."""
    *way, last = operation["path"].removeprefix("/").split("/")
    at: Any = document
    try:
        for step in way:
            at = at[int(step) if isinstance(at, list) else step]
        key = int(last) if isinstance(at, list) else last
        at[key]
    except (KeyError, IndexError, ValueError) as error:
        raise KustomizeError(f"{place}: {operation['path']} is not there") from error
    if operation["op"] != "replace":
        raise KustomizeError(f"{place}: {operation['op']}: not known here")
    at[key] = operation["value"]
