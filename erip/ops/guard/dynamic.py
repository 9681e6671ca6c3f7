"""Which parts of the cluster's configuration in etcd this node obeys.

Note [No commands from etcd]. Patroni takes most of its settings from etcd, and some of them are commands that it, or
PostgreSQL, runs on each database host: callbacks, `archive_command`, methods that make a replica. So a client that can
write to etcd would own these hosts. Here a node obeys the settings that say how the cluster behaves, and none that
names a command, a library, a file or who may log in. Those belong in the node's own file (`patroni.yml`), where its
administrator writes them: `archive_command`, for instance, under `postgresql: parameters:`.

The lists name what is obeyed, not what is refused: Patroni's next release may add another command.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

#: numbers, booleans and words that say when and how to fail over (`patroni.config.Config.__DEFAULT_CONFIG`)
_OBEYED: Final = frozenset(
    {
        *("ttl", "loop_wait", "retry_timeout", "pause", "failsafe_mode", "check_timeline", "max_timelines_history"),
        *("maximum_lag_on_failover", "maximum_lag_on_syncnode", "primary_start_timeout", "primary_stop_timeout"),
        *("synchronous_mode", "synchronous_mode_strict", "synchronous_node_count", "member_slots_ttl"),
        *("master_start_timeout", "master_stop_timeout"),
    }
)
_OBEYED_POSTGRESQL: Final = frozenset(
    {
        *("use_pg_rewind", "use_slots", "remove_data_directory_on_rewind_failure"),
        *("remove_data_directory_on_diverged_timelines", "pg_ctl_timeout"),
    }
)
_OBEYED_STANDBY: Final = frozenset({"host", "port", "primary_slot_name"})
#: of the extensions' settings only these: `plperl.on_init`, for instance, is code
_PARAMETER: Final = re.compile(r"(pg_stat_statements\.)?[a-z_][a-z0-9_]*")
#: how PostgreSQL names its settings, present and future, that hold commands, code or places
_POWERFUL: Final = re.compile(
    r"command|librar|preload|provider|_path$|path$|file$|filename$|file_mode$|director|^include|^log_|hba|ident"
)
#: PostgreSQL's log settings that neither name a place nor put users' data into the log
_LOGGED: Final = frozenset(
    {
        *("log_autovacuum_min_duration", "log_checkpoints", "log_connections", "log_disconnections", "log_timezone"),
        *("log_lock_waits", "log_recovery_conflict_waits", "log_replication_commands", "log_temp_files"),
        *("log_line_prefix", "log_startup_progress_interval", "log_hostname"),
    }
)
_PLUGIN: Final = re.compile(r"\w+")


def obeyed(configuration: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The part of it that is obeyed, and the names of the settings that are not."""
    refused: list[str] = []
    kept: dict[str, Any] = {}
    for name, value in configuration.items():
        if name == "postgresql":
            kept[name] = _postgresql(value, refused)
        elif name == "standby_cluster" and isinstance(value, Mapping):
            kept[name] = {
                key: one for key, one in value.items() if _keep(key in _OBEYED_STANDBY, f"{name}.{key}", refused)
            }
        elif name in ("slots", "ignore_slots"):
            if _keep(_plugins_are_words(value), name, refused):
                kept[name] = value
        elif _keep(name in _OBEYED and not isinstance(value, Mapping | list), str(name), refused):
            kept[name] = value
    return kept, refused


def _postgresql(section: Any, refused: list[str]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in section.items() if isinstance(section, Mapping) else ():
        at = f"postgresql.{name}"
        if name == "parameters" and isinstance(value, Mapping):
            kept[name] = {
                key: one for key, one in value.items() if _keep(_is_harmless(key, one), f"{at}.{key}", refused)
            }
        elif _keep(name in _OBEYED_POSTGRESQL, at, refused):
            kept[name] = value
    return kept


def _is_harmless(name: object, value: object) -> bool:
    """Whether one of PostgreSQL's own settings may be obeyed. Their names are the same in upper case."""
    word = str(name).lower()
    named = _PARAMETER.fullmatch(word) is not None and (word in _LOGGED or _POWERFUL.search(word) is None)
    return named and not isinstance(value, Mapping | list)


def _plugins_are_words(slots: Any) -> bool:
    """The plugin of a logical slot is a library: a name, never a path to one."""
    entries = slots.values() if isinstance(slots, Mapping) else slots if isinstance(slots, list) else ()
    return all(
        _PLUGIN.fullmatch(str(one["plugin"])) is not None
        for one in entries
        if isinstance(one, Mapping) and one.get("plugin") is not None
    )


def _keep(wanted: bool, name: str, refused: list[str]) -> bool:
    if not wanted:
        refused.append(name)
    return wanted
