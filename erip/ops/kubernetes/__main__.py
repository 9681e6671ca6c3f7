"""`python -m erip.ops.kubernetes check [OVERLAY]`, and `gate`, which is `make manifests`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from erip.foundation.os_errors import in_words
from erip.ops.kubernetes import checkov, kustomize
from erip.ops.stack.state import ROOT

MANIFESTS = ROOT / "deploy" / "k8s"


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 1 when something is not as it should be, and 2 when it could not be looked at."""
    parser = argparse.ArgumentParser(prog="erip.ops.kubernetes", description="The manifests of deploy/k8s.")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="objects against the schemas of Kubernetes, and our own rules")
    check.add_argument(
        "overlay",
        nargs="?",
        default=str(MANIFESTS / "overlays" / "production"),
        help="a folder with a kustomization.yaml, a file of objects (YAML), or - for standard input: the overlay for"
        " production by default",
    )
    check.add_argument("--component", action="append", default=[], metavar="NAME", help="with this component too")
    check.add_argument(
        "--crds", type=Path, metavar="FOLDER", help="CustomResourceDefinitions (YAML), for operators' kinds"
    )
    check.add_argument("--trial", action="store_true", help="names that are examples may be left")
    commands.add_parser("gate", help="all of deploy/k8s: the same, and checkov, which it installs beside the platform")
    options = parser.parse_args(arguments)
    try:
        return _gate() if options.command == "gate" else _check(options)
    except (kustomize.KustomizeError, checkov.CheckovError, OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        print(f"erip.ops.kubernetes: {in_words(error)}", file=sys.stderr)
        return 2


def _check(options: Any) -> int:
    # They are development dependencies: a process that serves has none of them.
    from erip.ops.kubernetes import examples, policy, schemas

    objects = _objects(options.overlay, options.component)
    looked = schemas.look(objects, schemas.definitions(options.crds) if options.crds else None)
    faults = policy.faults(objects)
    left = [] if options.trial else examples.left(objects)
    for one in looked.faults:
        print(f"schema: {one}")
    for fault in faults:
        print(f"{fault.rule}: {fault.what}")
    for one in left:
        print(f"example: {one}")
    if looked.unknown:
        kinds = ", ".join(sorted(kind for _, kind in looked.unknown))
        print(f"erip.ops.kubernetes: not looked at, for want of a schema: {kinds} (--crds)", file=sys.stderr)
    for one in looked.unread:
        print(f"erip.ops.kubernetes: not looked at, for only its operator knows it: {one} (--crds)", file=sys.stderr)
    count = len(looked.faults) + len(faults) + len(left)
    print(
        f"{len(objects)} objects, Kubernetes {schemas.release()}, {len(policy.rules())} rules: {count or 'no'} faults"
    )
    return 1 if count else 0


def _gate() -> int:
    from erip.ops.kubernetes import policy, schemas

    made = checkov.everything()
    lines = []
    for name, objects in made.items():
        looked = schemas.look(objects)
        lines += [f"{name}: schema: {one}" for one in looked.faults]
        lines += [f"{name}: no schema of {kind}" for _, kind in sorted(looked.unknown)]
        lines += [f"{name}: not in deploy/k8s/schemas: {one}" for one in looked.unread]
        lines += [f"{name}: {one.rule}: {one.what}" for one in policy.faults(objects)]
    # At once: whoever has no checkov sees these all the same.
    for line in lines:
        print(line, flush=True)
    verdict = checkov.judge(checkov.scan(made), checkov.exceptions(checkov.ACCEPTED.read_text("utf-8")))
    for fault in verdict.faults:
        print(f"checkov: {fault}")
    found = len(lines) + len(verdict.faults)
    count = sum(map(len, made.values()))
    print(
        f"{len(made)} overlays with {count} objects, Kubernetes {schemas.release()}, {len(policy.rules())} rules;"
        f" checkov: {verdict.passed} passed, {verdict.accepted} accepted: {found or 'no'} faults"
    )
    return 1 if found else 0


def _objects(place: str, components: Sequence[str]) -> list[dict[str, Any]]:
    if Path(place).is_dir():
        return kustomize.documents(Path(place), components=[MANIFESTS / "components" / one for one in components])
    text = sys.stdin.read() if place == "-" else Path(place).read_text("utf-8")
    try:
        found = [one for one in yaml.safe_load_all(text) if one]
    except RecursionError:
        raise kustomize.KustomizeError(f"{place}: is nested too deeply") from None
    for number, one in enumerate(found):
        known = isinstance(one, dict) and isinstance(one.get("metadata"), dict)
        if not (known and {"apiVersion", "kind"} <= one.keys() and "name" in one["metadata"]):
            raise kustomize.KustomizeError(f"{place}: document {number + 1} has no apiVersion, kind or name")
    return found


if __name__ == "__main__":
    sys.exit(main())
