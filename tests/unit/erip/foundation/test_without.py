"""Parts of a package without the rest: `erip.foundation.without`. In processes of their own, since it changes what is
loaded."""

import subprocess
import sys

import pytest

from erip.ops.stack.state import ROOT

ALONE = "from erip.foundation.without import parts_alone\nimport sys\n"
POOL = f"{ALONE}with parts_alone('sqlalchemy'):\n    import sqlalchemy.pool\nbefore = set(sys.modules)\n"


def run(text: str) -> str:
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_part_is_loaded_without_what_its_package_loads() -> None:
    assert run(f"{POOL}print('sqlalchemy.pool' in before, 'sqlalchemy.sql' in before)") == "True False"


@pytest.mark.parametrize(
    "use",
    [
        "import sqlalchemy\nprint(sqlalchemy.select(sqlalchemy.literal(1)))",
        "from sqlalchemy import literal, select\nprint(select(literal(1)))",
        "import sqlalchemy.orm\nprint(sqlalchemy.select(sqlalchemy.literal(1)))",
        "from sqlalchemy.orm import Session\nfrom sqlalchemy import literal, select\nprint(select(literal(1)))",
        "import sqlalchemy as sa\nsa.exc.SQLAlchemyError, sa.pool.QueuePool, sa.event.listen, sa.types.Text\n"
        "print(sa.select(sa.literal(1)))",
        "import sqlalchemy\nassert sqlalchemy.__version__\nprint(sqlalchemy.select(sqlalchemy.literal(1)))",
        "from sqlalchemy.sql import text\nimport sqlalchemy\nprint(sqlalchemy.select(sqlalchemy.literal(1)))",
        "import sqlalchemy.types, sqlalchemy.schema\nprint(sqlalchemy.select(sqlalchemy.literal(1)))",
        "import sqlalchemy.sql.expression as e\nprint(e.select(e.literal(1)))",
        "from sqlalchemy.dialects import postgresql\nfrom sqlalchemy import *\nprint(select(literal(1)))",
        "from sqlalchemy import event\nfrom sqlalchemy.engine import Engine\n"
        "event.listen(Engine, 'before_execute', lambda *_: None)\n"
        "import sqlalchemy\nprint(sqlalchemy.select(sqlalchemy.literal(1)))",
        "from threading import Thread\nimport sqlalchemy\nfound = []\n"
        "def ask():\n    found.append(str(sqlalchemy.select(sqlalchemy.literal(1))))\n"
        "threads = [Thread(target=ask) for _ in range(8)]\n"
        "[one.start() for one in threads]\n[one.join() for one in threads]\n"
        "assert len(found) == 8\nprint(*set(found))",
    ],
)
def test_whoever_asks_for_more_finds_all_of_the_package(use: str) -> None:
    assert run(f"{POOL}{use}") == "SELECT :param_1 AS anon_1"


def test_another_thread_finds_all_of_it_while_one_wants_parts_alone() -> None:
    text = (
        "from threading import Thread\nfound = []\n"
        "def ask():\n    from sqlalchemy.sql import literal, select\n    found.append(str(select(literal(1))))\n"
        "with parts_alone('sqlalchemy'):\n    import sqlalchemy.pool\n"
        "    one = Thread(target=ask)\n    one.start()\n    one.join()\nprint(*found)"
    )
    assert run(f"{ALONE}{text}") == "SELECT :param_1 AS anon_1"


def test_a_package_that_is_loaded_already_stays_as_it_is() -> None:
    text = (
        f"import sqlalchemy\nbefore = sqlalchemy\n{ALONE}with parts_alone('sqlalchemy'):\n    import sqlalchemy.pool\n"
    )
    assert run(f"{text}print(sqlalchemy is before, type(sqlalchemy).__name__)") == "True module"


def test_a_package_that_is_not_there_is_missed_as_ever() -> None:
    text = (
        f"{ALONE}try:\n    with parts_alone('no_such'):\n        import no_such\nexcept ModuleNotFoundError as error:"
    )
    assert run(f"{text}\n    print(error.name)") == "no_such"


def test_a_package_that_cannot_be_loaded_says_so_each_time(tmp_path) -> None:  # type: ignore[no-untyped-def]
    package = tmp_path / "halved"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('broken')")
    (package / "part.py").write_text("fine = 1")
    text = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{ALONE}"
    text += "with parts_alone('halved'):\n    import halved.part\nprint(halved.part.fine)\n"
    text += "for _ in range(2):\n    try:\n        halved.more\n    except RuntimeError as error:\n        print(error)"
    assert run(text).split() == ["1", "broken", "broken"]
