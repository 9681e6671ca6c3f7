"""What a process of the platform loads when it starts, and what it leaves until somebody needs it
(`tests.support.loaded`). Processes that do their work are looked at in tests/integration/test_what_is_loaded.py.
"""

import subprocess
import sys

import pytest

from erip.ops.stack.state import ROOT
from tests.support.loaded import NOT_BY_THE_SUPERVISOR, NOT_LOADED, loaded_for_nothing, of_these

#: what each role loads without any server
STARTS = {
    "web": "import erip.gunicorn, erip.asgi",
    "worker": "import erip.worker; erip.worker.app.loader.import_default_modules()",
    "leader": "import manage, django; django.setup(); from django.core.management import load_command_class;"
    " load_command_class('workflows', 'run_leader').check()",
}


def run(text: str) -> str:
    # The settings of the tests, as the tests themselves have them.
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("role", NOT_LOADED)
def test_what_few_processes_need_is_loaded_when_it_is_needed(role: str) -> None:
    found = run(f"{STARTS[role]}\nimport sys; print(*[name for name, module in sys.modules.items() if module])")

    assert "django.db.models" in found.split()
    assert loaded_for_nothing(role, frozenset(found.split())) == set()


def test_the_supervisor_of_a_stack_loads_nothing_of_the_platform() -> None:
    found = run(
        "import erip.ops.stack.cli, erip.ops.stack.supervisor, sys; print(*[n for n, it in sys.modules.items() if it])"
    )

    assert "erip.ops.stack.redis" in found.split()
    assert of_these(NOT_BY_THE_SUPERVISOR, found.split()) == set()


def test_the_client_of_redis_comes_without_its_asynchronous_one_which_is_there_for_who_asks() -> None:
    asked = "import redis; print(redis.asyncio.Redis.__module__, redis.Redis.__module__)"

    assert run(f"import erip.foundation.redis_alone; {asked}") == "redis.asyncio.client redis.client"
    assert run(f"import redis, erip.foundation.redis_alone; {asked}") == "redis.asyncio.client redis.client"


def test_the_pool_of_connections_comes_without_the_rest_of_its_library() -> None:
    found = run("import erip.foundation.db.pooled.base, sys; print(*[name for name, it in sys.modules.items() if it])")

    assert "sqlalchemy.pool.impl" in found.split()
    assert {name for name in found.split() if name.startswith(("sqlalchemy.sql", "sqlalchemy.engine"))} == set()


def test_the_holidays_of_one_country_come_without_those_of_the_others() -> None:
    found = run(
        "from workflows.core.calendars import calendar_of; import sys; calendar_of('DE-BE'); calendar_of('US')\n"
        "print(*[name for name in sys.modules if name.startswith('holidays.countries.')])"
    )

    assert set(found.split()) == {"holidays.countries.germany", "holidays.countries.united_states"}


def test_pages_of_the_admin_are_checked_also_where_nobody_has_loaded_them() -> None:
    check = """
import django
django.setup()
from django.contrib import admin
from workflows.models import WorkflowRun
from django.core.checks import registry, Tags
before = len(admin.site._registry)
class Broken(admin.ModelAdmin):
    list_display = ["no_such_field"]
admin.site.register(type("Another", (WorkflowRun,), {"__module__": "workflows.models",
    "Meta": type("Meta", (), {"proxy": True, "app_label": "workflows"})}), Broken)
found = registry.registry.run_checks(tags=[Tags.admin])
print(before, len(admin.site._registry) > 20, sorted({one.id for one in found}))
"""
    assert run(check) == "0 True ['admin.E108']"


def test_a_process_without_requests_is_checked_for_all_but_those() -> None:
    check = """
import django
django.setup()
from django.core.checks import Error, Tags, register, registry
from django.core.management.base import CommandError
from erip.foundation.process.checking import Daemon
asked = []
@register()
def without_a_tag(**_):
    return [Error("This is wrong.", id="test.E001")]
@register(Tags.urls)
def of_addresses(**_):
    asked.append("addresses")
    return []
before = set(registry.registry.registered_checks)
try:
    Daemon().check()
except CommandError as error:
    print("test.E001" in str(error), asked, before == set(registry.registry.registered_checks))
"""
    assert run(check) == "True [] True"


def test_a_library_that_is_left_out_for_another_can_be_used_afterwards() -> None:
    assert run("import erip.celery, sys; print('rich' in sys.modules); import rich.console; print('fine')") == "fine"
    both = "from structlog import dev; print(dev.rich is not None)"
    assert run(both) == "True"
    assert run(f"import erip.foundation.structlog_alone; {both}") == "False"


def test_cel_is_one_and_the_same_however_it_is_imported() -> None:
    both = "from workflows.core import cel_compiler; import cel; print(cel.compile is cel_compiler.compile)"
    other = "import cel; from workflows.core import cel_compiler; print(cel.compile is cel_compiler.compile)"
    for text in (both, other):
        assert run(text) == "True"
