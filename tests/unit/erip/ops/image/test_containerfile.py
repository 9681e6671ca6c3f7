"""The image is what the manifests of deploy/k8s expect: user, programs, modules, places to write; and no more."""

import ast
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from erip.ops.image import holds, pins
from erip.ops.stack import releases
from erip.ops.stack.state import ROOT
from tests.support import containerfile, manifests

STAGES = containerfile.stages()
BUILD, TRIED, IMAGE = STAGES
HOME = IMAGE.only("WORKDIR")
VENV = f"{HOME}/.venv/bin"
PODS = manifests.pods()
CONTAINERS = {f"{name}/{one['name']}": one for name, each in PODS.items() for one in manifests.containers(each)}
#: what the build gets of the checkout, and where the code goes
COPIED = {source: target for words in BUILD.all("COPY") for *sources, target in [words.split()] for source in sources}
CODE = {source for source, target in COPIED.items() if target.startswith(f"/layers/erip{HOME}/")}


def in_image() -> set[str]:
    """The packages of Python in the image."""
    wanted = pins.roots((ROOT / "requirements.in").read_text())
    return set(pins.runtime(pins.read((ROOT / "requirements.txt").read_text()), wanted))


PACKAGES = in_image()


def commands(container: str) -> Iterator[list[str]]:
    """What is started in it: its command, and its probes."""
    one = CONTAINERS[container]
    yield one["command"]
    for key, value in one.items():
        if key.endswith("Probe") and "exec" in value:
            yield value["exec"]["command"]


def scripts() -> dict[str, str]:
    """The programs that packages bring, and whose they are."""
    return {
        one.name: pins.normal(one.dist.name)
        for one in importlib.metadata.entry_points(group="console_scripts")
        if one.dist is not None
    }


@pytest.mark.parametrize("container", CONTAINERS)
def test_each_command_and_probe_finds_its_program_and_module(container: str) -> None:
    assert IMAGE.environment["PATH"].split(":")[0] == VENV
    for program, *words in commands(container):
        if program == "python":
            if words[0] == "-m":
                package = words[1].partition(".")[0]
                assert package in CODE or package in PACKAGES, words
                assert importlib.util.find_spec(words[1]) is not None
            else:
                assert words[0] in CODE, words
        else:
            assert scripts()[program] in PACKAGES, program


@pytest.mark.parametrize("name", PODS)
def test_the_user_is_that_of_the_pods_and_a_number(name: str) -> None:
    security = manifests.spec_of(PODS[name])["securityContext"]
    assert IMAGE.only("USER") == f"{security['runAsUser']}:{security['runAsGroup']}"
    assert security["runAsUser"] == security["fsGroup"] == holds.USER


@pytest.mark.parametrize("container", CONTAINERS)
def test_only_the_places_that_the_image_names_are_written_to(container: str) -> None:
    places = set(IMAGE.listed("VOLUME"))
    assert places == {f"/{path}" for path in holds.WRITABLE}
    one = CONTAINERS[container]
    spec = manifests.spec_of(PODS[container.partition("/")[0]])
    empty = {volume["name"] for volume in spec["volumes"] if "emptyDir" in volume}
    mounts = {mount["mountPath"]: mount for mount in one["volumeMounts"]}
    assert {path for path, mount in mounts.items() if not mount.get("readOnly")} <= places
    assert {mount["name"] for path, mount in mounts.items() if path in places} <= empty
    # A mount lies over what the image has there.
    assert not [path for path in mounts if f"{path}/".startswith((f"{HOME}/", "/usr/", "/etc/", "/lib"))]
    if any("configMapRef" in source for source in one.get("envFrom", [])):
        assert mounts.keys() >= places


def test_the_image_and_the_settings_of_the_manifests_say_the_same() -> None:
    said = dict(
        line.split("=", 1)
        for line in (manifests.BASE / "settings.env").read_text().splitlines()
        if line and not line.startswith("#")
    )
    both = said.keys() & IMAGE.environment.keys()
    assert both >= {"DJANGO_SETTINGS_MODULE", "ERIP_STATE_DIR"}
    assert {name: said[name] for name in both} == {name: IMAGE.environment[name] for name in both}
    assert IMAGE.environment["ERIP_STATE_DIR"] in IMAGE.listed("VOLUME")


def test_without_a_command_it_is_a_web_process_as_the_manifests_start_it() -> None:
    web = CONTAINERS["erip-web/web"]
    assert IMAGE.listed("ENTRYPOINT") == [f"{VENV}/python"]
    assert IMAGE.listed("CMD") == ["-m", *web["command"]]
    assert [int(port) for port in IMAGE.only("EXPOSE").split()] == [web["ports"][0]["containerPort"]]


def test_the_last_stage_begins_with_nothing_and_runs_nothing() -> None:
    assert (TRIED.base, IMAGE.base) == ("scratch", "scratch")
    assert {name for name, _ in IMAGE.said} <= {
        *("ARG", "LABEL", "COPY", "ENV", "WORKDIR", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD")
    }
    # What was tried is what is shipped, and nobody can leave the trying out: the files for browsers come from there.
    layers = TRIED.all("COPY")
    assert IMAGE.all("COPY")[: len(layers)] == layers
    assert [words for words in IMAGE.all("COPY") if words not in layers] == ["--from=tried /static/ /"]
    assert all("--from=" in words for words in IMAGE.all("COPY"))


def test_no_secret_is_in_a_stage_that_is_shipped() -> None:
    assert not [name for name in IMAGE.environment if holds.SECRET.search(name)]
    for stage in (BUILD, IMAGE):
        assert not [words for words in stage.all("ARG") if holds.SECRET.search(words)]
    # Where files of a site are needed, they are mounted for one command.
    assert [words for words in BUILD.all("RUN") if "--mount" in words] == [
        "--mount=type=secret,id=ca --mount=type=secret,id=pip sh python.sh /layers/python"
    ]


def test_all_of_the_platform_is_in_it_and_nothing_else() -> None:
    # What pods of deploy/k8s/components/redis make their files of.
    assert {"manage.py", "deploy/redis", *releases.PACKAGES} == CODE
    for source, target in COPIED.items():
        assert (ROOT / source).exists(), source
        if source in CODE:
            assert target in (f"/layers/erip{HOME}/", f"/layers/erip{HOME}/{source}")


def test_the_build_is_given_what_it_copies_and_nothing_else() -> None:
    """.dockerignore denies first."""
    lines = [one for one in (ROOT / ".dockerignore").read_text().splitlines() if one and not one.startswith("#")]
    assert lines[0] == "*"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert {source.rstrip("/") for source in COPIED} - {"erip/ops/image/pins.py"} == allowed
    assert lines.index("**/.env*") > max(lines.index(f"!{one}") for one in allowed)


def test_every_package_that_the_code_imports_is_in_the_image() -> None:
    """A module of ours that another part of the project brings, such as the tests, would be missing in production."""
    owners = importlib.metadata.packages_distributions()
    missing: dict[str, str] = {}
    for source in CODE:
        files = sorted((ROOT / source).rglob("*.py")) if (ROOT / source).is_dir() else [ROOT / source]
        for path in files:
            # What installs ERIP on machines and looks at manifests runs there; of it the image starts Flower alone.
            if path.is_relative_to(ROOT / "erip" / "ops") and path.name != "monitor.py":
                continue
            for module in imports(path):
                if module in CODE or module in sys.stdlib_module_names:
                    continue
                brings = {pins.normal(one) for one in owners.get(module, [])}
                if not brings & PACKAGES:
                    missing[module] = str(path.relative_to(ROOT))
    assert missing == {}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {one.name.partition(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_nothing_that_only_tests_or_other_servers_need_is_in_it() -> None:
    assert not PACKAGES & {"patroni", "pytest", "mypy", "ruff", "uv", "hypothesis", "schemathesis", "bandit", "pip"}
    assert {"django", "celery", "gunicorn", "gunicorn-h1c", "flower", "psycopg2-binary", "redis", "uvloop"} <= PACKAGES


def test_files_of_packages_that_hold_private_keys_are_taken_out(tmp_path: Path) -> None:
    """As tests of packages do. The image would not be built with them."""
    held = set()
    for one in importlib.metadata.distributions():
        if pins.normal(one.name) in PACKAGES:
            held |= {str(file) for file in one.files or () if holds.KEY.search(_content(Path(str(file.locate()))))}
    assert len(held) > 3
    for name in [*held, "django/core/kept.py"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    script = (ROOT / "deploy" / "image" / "python.sh").read_text()
    (line,) = [one for one in script.splitlines() if one.startswith('find "$home" -depth')]
    subprocess.run(["sh", "-euc", f"home=$1\n{line}", "sh", str(tmp_path)], check=True)
    left = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]
    assert left == ["django/core/kept.py"]


def _content(path: Path) -> bytes:
    # A file that an installer made or that is gone is none of the package's.
    return path.read_bytes() if path.is_file() else b""


def test_the_scripts_of_the_build_are_shell_and_set_no_place_of_their_own() -> None:
    for path in sorted((ROOT / "deploy" / "image").glob("*.sh")):
        subprocess.run(["sh", "-n", str(path)], check=True)
        assert re.search(r"^set -eu$", path.read_text(), re.MULTILINE), path.name
        assert path.name in " ".join(BUILD.all("RUN"))
