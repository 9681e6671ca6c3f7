"""What of a configuration in etcd a database node obeys."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from erip.ops.deploy.templates import FOLDER
from erip.ops.guard.dynamic import obeyed

COMMANDS = [
    {"postgresql": {"parameters": {"archive_command": "touch /x"}}},
    {"postgresql": {"parameters": {"ARCHIVE_COMMAND": "touch /x"}}},
    {"postgresql": {"parameters": {"restore_command": "x"}}},
    {"postgresql": {"parameters": {"recovery_end_command": "x"}}},
    {"postgresql": {"parameters": {"archive_cleanup_command": "x"}}},
    {"postgresql": {"parameters": {"ssl_passphrase_command": "x"}}},
    {"postgresql": {"parameters": {"archive_library": "x"}}},
    {"postgresql": {"parameters": {"shared_preload_libraries": "x"}}},
    {"postgresql": {"parameters": {"session_preload_libraries": "x"}}},
    {"postgresql": {"parameters": {"local_preload_libraries": "x"}}},
    {"postgresql": {"parameters": {"dynamic_library_path": "/x"}}},
    {"postgresql": {"parameters": {"extension_control_path": "/x"}}},
    {"postgresql": {"parameters": {"jit_provider": "x"}}},
    {"postgresql": {"parameters": {"external_pid_file": "/x"}}},
    {"postgresql": {"parameters": {"hba_file": "/x"}}},
    {"postgresql": {"parameters": {"log_directory": "/x"}}},
    {"postgresql": {"parameters": {"log_statement": "all"}}},
    {"postgresql": {"parameters": {"search_path": "x"}}},
    {"postgresql": {"parameters": {"plperl.on_init": "code"}}},
    {"postgresql": {"parameters": {"unix_socket_directories": "/x"}}},
    {"postgresql": {"parameters": {"include_dir": "/x"}}},
    {"postgresql": {"parameters": {"work_mem = '1MB'\narchive_command": "touch /x"}}},
    {"postgresql": {"callbacks": {"on_reload": "touch /x"}}},
    {"postgresql": {"create_replica_methods": ["x"], "x": {"command": "touch /x"}}},
    {"postgresql": {"recovery_conf": {"restore_command": "touch /x"}}},
    {"postgresql": {"pre_promote": "touch /x"}},
    {"postgresql": {"before_stop": "touch /x"}},
    {"postgresql": {"custom_conf": "/x"}},
    {"postgresql": {"bin_dir": "/x"}},
    {"postgresql": {"bin_name": {"pg_ctl": "x"}}},
    {"postgresql": {"pg_hba": ["host all all 0.0.0.0/0 trust"]}},
    {"postgresql": {"pg_ident": ["x"]}},
    {"standby_cluster": {"restore_command": "touch /x"}},
    {"standby_cluster": {"create_replica_methods": ["x"]}},
    {"slots": {"x": {"type": "logical", "plugin": "/tmp/evil"}}},
    {"bootstrap": {"post_init": "touch /x"}},
]


def leaves(value):
    return [leaf for one in value.values() for leaf in (leaves(one) if isinstance(one, dict) else [one])]


@pytest.mark.parametrize("configuration", COMMANDS, ids=str)
def test_nothing_is_obeyed_that_names_a_command_code_a_place_or_who_may_come_in(configuration):
    kept, refused = obeyed(configuration)
    assert leaves(kept) == []
    assert refused


def test_all_of_our_own_template_is_obeyed():
    # The part below bootstrap.dcs has no variables but sizes.
    text = (FOLDER / "patroni/patroni.yml").read_text().split("bootstrap:")[1].split("  initdb:")[0]
    wanted = yaml.safe_load(text.replace("{{ max_connections }}", "100"))["dcs"]
    kept, refused = obeyed(wanted)
    assert refused == []
    assert kept == wanted


def test_a_switchover_and_a_standby_cluster_work_as_before():
    wanted = {
        "pause": True,
        "standby_cluster": {"host": "10.0.0.1", "port": 5432, "primary_slot_name": "other"},
        "slots": {"mine": {"type": "logical", "database": "erip", "plugin": "pgoutput"}},
    }
    assert obeyed(wanted) == (wanted, [])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
_NAMES = st.sampled_from(["postgresql", "parameters", "slots", "standby_cluster", "ttl", "callbacks"]) | st.text(
    max_size=8
)


@given(st.dictionaries(_NAMES, _JSON | st.dictionaries(_NAMES, _JSON, max_size=3), max_size=4))
def test_whatever_stands_there_is_no_error(configuration):
    kept, refused = obeyed(configuration)
    assert kept.keys() <= configuration.keys()
    assert all(isinstance(name, str) for name in refused)
