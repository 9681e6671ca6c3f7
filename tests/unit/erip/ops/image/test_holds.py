"""Whatever is in an image besides packages, the commit and what is made for it is named; so are rights and keys."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from erip.ops.image import holds
from tests.support import oci

SOURCE = {"manage.py": b"2\n", "tests/absent.py": b"3\n"}
PACKAGES = "opt/erip/.venv/lib/python3.11/site-packages"
PYTHON = f"{sys.version_info.major}{sys.version_info.minor}"
#: a module that the machine has and no image
OUTSIDE = os.__file__
KEY = "-----BEGIN PRIVATE" + " KEY-----\n" + "A" * 64


def put(path: str, content: str = "x", mode: int = 0o644) -> Callable[[Path], None]:
    def do(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
        (root / path).chmod(mode)

    return do


def mode(path: str, bits: int) -> Callable[[Path], None]:
    return lambda root: (root / path).chmod(bits)


def compiled(path: str, source: str) -> Callable[[Path], None]:
    """Compile a source under this path, then leave another one there, or what was there."""

    def do(root: Path) -> None:
        at = root / path
        before = at.read_text() if at.is_file() else "x"
        put(path, source)(root)
        oci.compiled(at)
        at.write_text(before)

    return do


def linked(path: str, target: str) -> Callable[[Path], None]:
    """Compile a link, as Debian has one for the description of Python's own build."""

    def do(root: Path) -> None:
        (root / path).symlink_to(target)
        oci.compiled(root / path)

    return do


@pytest.fixture
def root(tmp_path: Path) -> Path:
    os.umask(0o022)
    return oci.root(tmp_path / "root")


def test_nothing_is_wrong_with_one_whose_every_file_is_explained(root: Path) -> None:
    # Owners are looked at where root builds.
    if os.geteuid() == 0:
        os.chown(root / "run" / "erip", holds.USER, holds.USER)
    assert list(holds.faults(root, SOURCE, oci.CONFIG)) == []


def test_a_compiled_module_whose_source_is_a_link_to_one_that_is_explained_is_explained(root: Path) -> None:
    linked(f"{PACKAGES}/django/two.py", "one.py")(root)
    assert (root / PACKAGES / "django" / "__pycache__" / f"two.cpython-{PYTHON}.pyc").is_file()
    assert not [one for one in faults(root) if "two." in one]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (put("root/.config/pip.conf"), "root/.config/pip.conf"),
        (put("run/secrets/ca"), "run/secrets/ca"),
        (put("etc/resolv.conf"), "etc/resolv.conf"),
        (put("lib/libc.so.6", "another library"), "lib/libc.so.6"),
        (put(f"{PACKAGES}/django/one.py", "another module"), f"{PACKAGES}/django/one.py"),
        (put(f"{PACKAGES}/django/two.py"), f"{PACKAGES}/django/two.py"),
        (put(f"{PACKAGES}/django/__pycache__/two.cpython-311.pyc"), "two.cpython-311.pyc"),
        (put(f"{PACKAGES}/django/__pycache__/one.cpython-399.pyc"), "one.cpython-399.pyc"),
        (put(f"{PACKAGES}/django/__pycache__/one.pyc"), "one.pyc"),
        (compiled(f"{PACKAGES}/django/one.py", "2"), f"one.cpython-{PYTHON}.pyc"),
        (compiled(f"{PACKAGES}/django/two.py", "x"), f"two.cpython-{PYTHON}.pyc"),
        (linked(f"{PACKAGES}/django/two.py", OUTSIDE), f"two.cpython-{PYTHON}.pyc"),
        (put("opt/erip/manage.py", "not committed"), "opt/erip/manage.py"),
        (put("opt/erip/erip/local.py"), "opt/erip/erip/local.py"),
        (put("opt/erip/static/own.js", "own"), "opt/erip/static/own.js"),
    ],
)
def test_a_file_that_nothing_explains_is_named(root: Path, change: Callable[[Path], None], path: str) -> None:
    change(root)
    assert any(path in one and "no package, and not the commit, has it" in one for one in faults(root))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (put("bin/sh", mode=0o755), "bin/sh: a program that nothing here needs"),
        (put("usr/bin/apt-get"), "usr/bin/apt-get: a program"),
        (lambda root: (root / "usr/bin/perl").symlink_to("python3.11"), "usr/bin/perl: a program"),
        (mode("usr/bin/python3.11", 0o4755), "python3.11: gives whoever starts it the rights"),
        (mode("usr/bin/python3.11", 0o2755), "python3.11: gives whoever starts it the rights"),
        (mode("opt/erip/manage.py", 0o666), "manage.py: others may write"),
        (mode("opt/erip", 0o777), "opt/erip: others may write"),
        (mode("opt/erip/manage.py", 0o600), "manage.py: its user cannot read it"),
        (mode("tmp", 0o777), "tmp: its mode is 777"),
        (mode("run/erip", 0o755), "run/erip: its mode is 755"),
        (put("etc/passwd", KEY), "etc/passwd: holds a private key"),
    ],
)
def test_rights_programs_and_keys_are_named(root: Path, change: Callable[[Path], None], said: str) -> None:
    change(root)
    assert any(said in one for one in faults(root)), faults(root)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"Env": ["ERIP_SECRET_KEY=x"]}, "its environment holds ERIP_SECRET_KEY"),
        ({"Env": ["DATABASE_URL=x"]}, "its environment holds DATABASE_URL"),
        ({"User": ""}, "its user is ''"),
        ({"User": "erip"}, "its user is 'erip'"),
        ({"Entrypoint": ["python"]}, "no full path"),
        ({"Entrypoint": None}, "no full path"),
    ],
)
def test_a_configuration_with_a_secret_or_another_user_is_named(
    root: Path, config: dict[str, object], said: str
) -> None:
    assert any(said in one for one in holds.faults(root, SOURCE, {**oci.CONFIG, **config}))


def faults(root: Path) -> list[str]:
    return list(holds.faults(root, SOURCE, oci.CONFIG))
