"""The second wall between spaces: PostgreSQL's row security, for reads on behalf of callers of some spaces.

Note [Second wall]
The first wall is the application: an operation asks for rows of the caller's spaces. A forgotten condition would show
others. So such a read runs as another role, `<app>_limited`, in a transaction that names the spaces (`erip.spaces`),
and PostgreSQL shows that role nothing else, whatever the statement says. It may read only tables that an app names:
those with a policy (`hooks.walled`), and a few that are about no space (`hooks.open_to_all`). Without the setting it
sees nothing.

Everybody else pays nothing. The policies are for that role alone; the owner of a table is not subject to them, and the
application's role has BYPASSRLS, so its statements are planned as if there were none (and COPY into a table works,
which row security forbids). All further roles see what they saw: a policy for everybody says yes. Only the limited
reads cost: one statement more, in a transaction.

The wall is no protection from SQL that somebody else writes: a session can become the application's role again. It is
there for our own mistakes. It needs a role of its own, so it stands where the owner and the application are two roles
(Note [Owner] in `roles`).
"""

import hashlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections, transaction

from erip.foundation.db import retry
from erip.foundation.db.failures import sqlstate
from erip.foundation.db.privileges import Roles, quoted

Value = TypeVar("Value")

#: in a policy: the caller's spaces, as text[]; NULL where nobody has said which
SPACES: Final = "string_to_array(nullif(current_setting('erip.spaces', true), ''), ',')"
#: the table by which a process sees that the wall stands; a space with its own policy
PROBE: Final = "access_space"
#: times that a policy is tried, and how long each waits for its lock, which all later statements would wait behind
_TRIES, _PATIENCE = 10, "500ms"
_LOCKED: Final = "55P03"

#: in a policy, the setting `erip.<name>`: what was found for the caller's spaces when the wall was entered. A policy
#: that looks it up itself, one within another, is estimated to be so dear that PostgreSQL compiles the statement first,
#: which took seconds (hence also `jit`)
_FOUND: Final = "string_to_array(nullif(current_setting('erip.{name}', true), ''), ',')"

_ENTER: Final = """
SELECT set_config('erip.spaces', %(spaces)s, true), set_config('jit', 'off', true), {found}(
    SELECT set_config('role', r.rolname, true) FROM pg_roles r
    WHERE r.rolname = %(role)s AND pg_has_role(session_user, r.oid, 'MEMBER')
      AND has_table_privilege(r.oid, to_regclass(%(probe)s), 'SELECT'))
"""
_ASK: Final = "set_config('erip.{name}', coalesce((SELECT string_agg(f, ',') FROM ({query}) q (f)), ''), true), "
_LEAVE: Final = "SELECT set_config('erip.spaces', '', true), {found}set_config('role', 'none', true)"
_POLICIES: Final = """
SELECT c.relname::text, c.relrowsecurity,
       coalesce(array_agg(p.polname::text) FILTER (WHERE p.polname IS NOT NULL), '{}')
FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
GROUP BY 1, 2
"""
_EVERYBODY: Final = "erip_everybody"
_PREFIX: Final = "erip_limited_"

#: the spaces to which the statements of the current work are confined
_confined: ContextVar[frozenset[str] | None] = ContextVar("erip_db_confined", default=None)


#: setting → SQL that gives texts, for the spaces `{spaces}`
_looked_up: dict[str, str] = {}


def found(name: str, query: str) -> str:
    """What `query` gives for the caller's spaces, as text[] for policies: it is asked once, when the wall is entered.
    No text may hold a comma. query: the spaces are `{spaces}` in it."""
    _looked_up[name] = query
    return _FOUND.format(name=name)


def limited_role(app: str) -> str:
    return f"{app}_limited"


# --- reading


def read(spaces: Collection[str] | None, call: Callable[[], Value]) -> Value:
    """The result of `call`, which only reads, behind the wall; None: everywhere, and at no cost. It may be called
    again."""
    if spaces is None:
        return call()

    def once(_: retry.Attempt) -> Value:
        with confined(spaces):
            return call()

    return retry.run(once)


@contextmanager
def confined(spaces: Collection[str] | None) -> Iterator[None]:
    """Within the block this thread's statements show rows of these spaces only. None: nothing changes."""
    if spaces is None:
        yield
        return
    nested, around = connections[DEFAULT_DB_ALIAS].in_atomic_block, _confined.get()
    with transaction.atomic():
        _enter(spaces)
        token = _confined.set(frozenset(spaces))
        try:
            yield
        finally:
            _confined.reset(token)
        # The end of a transaction ends it too, and so does an error in one within another.
        if connections[DEFAULT_DB_ALIAS].needs_rollback:
            return
        if around is not None:
            _enter(around)
        elif nested:
            _leave()


@contextmanager
def lifted() -> Iterator[None]:
    """Within the block the wall is open, for what is about no space: who is in which group, what a process remembers
    for all callers. Outside of `confined` nothing changes."""
    spaces = _confined.get()
    if spaces is None:
        yield
        return
    _leave()
    token = _confined.set(None)
    try:
        yield
    except BaseException:
        # Whoever catches it must not read on without the wall.
        transaction.set_rollback(True)
        raise
    finally:
        _confined.reset(token)
    _enter(spaces)


def _enter(spaces: Collection[str]) -> None:
    role = limited_role(connections[DEFAULT_DB_ALIAS].settings_dict["USER"])
    # As the application, and before it becomes the other role: the columns are made in their order.
    asked = "".join(
        _ASK.format(name=name, query=query.format(spaces="string_to_array(%(spaces)s, ',')"))
        for name, query in _looked_up.items()
    )
    _say(_ENTER.format(found=asked), {"spaces": ",".join(sorted(spaces)), "role": role, "probe": PROBE})


def _leave() -> None:
    _say(_LEAVE.format(found="".join(f"set_config('erip.{name}', '', true), " for name in _looked_up)))


def _say(statement: str, parameters: Mapping[str, str] | None = None) -> None:
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(statement, parameters)
        cursor.fetchall()


# --- building


def build(roles: Roles, walled: Mapping[str, str], alias: str = DEFAULT_DB_ALIAS) -> list[str]:
    """Bring the policies in line, as the owner. walled: what a limited role sees of each table, as SQL. Returns the
    statements that were needed.

    Each table has a transaction of its own: its lock stops all who use it. Raises DatabaseError.
    """
    done: list[str] = []
    with connections[alias].cursor() as cursor:
        cursor.execute(_POLICIES)
        found = {table: (enabled, frozenset(policies)) for table, enabled, policies in cursor.fetchall()}
    for table, (enabled, policies) in sorted(found.items()):
        needed = statements(table, walled.get(table), enabled=enabled, policies=policies, role=roles.limited)
        if needed:
            _execute(needed, alias)
            done += needed
    return done


def statements(table: str, using: str | None, *, enabled: bool, policies: Collection[str], role: str) -> list[str]:
    """What leads from these policies of a table to those that it should have. using: None: none."""
    place = quoted(table)
    if using is None or not role:
        ours = sorted(name for name in policies if name == _EVERYBODY or name.startswith(_PREFIX))
        return [f"DROP POLICY {quoted(name)} ON {place}" for name in ours] + (
            [f"ALTER TABLE {place} DISABLE ROW LEVEL SECURITY"] if ours and enabled else []
        )
    wanted = policy_name(using, role)
    said = [
        f"DROP POLICY {quoted(name)} ON {place}"
        for name in sorted(policies)
        if name.startswith(_PREFIX) and name != wanted
    ]
    if _EVERYBODY not in policies:
        said.append(f"CREATE POLICY {_EVERYBODY} ON {place} USING (true) WITH CHECK (true)")
    if wanted not in policies:
        said.append(f"CREATE POLICY {wanted} ON {place} AS RESTRICTIVE FOR SELECT TO {quoted(role)} USING ({using})")
    if not enabled:
        said.append(f"ALTER TABLE {place} ENABLE ROW LEVEL SECURITY")
    return said


def policy_name(using: str, role: str) -> str:
    """Says what the policy says, so that a changed one is another one."""
    return f"{_PREFIX}{hashlib.sha256(f'{role} {using}'.encode()).hexdigest()[:12]}"


def _execute(needed: Collection[str], alias: str) -> None:
    for attempt in range(_TRIES):
        try:
            with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
                for statement in needed:
                    cursor.execute(statement)
            return
        except OperationalError as error:
            if sqlstate(error) != _LOCKED or attempt == _TRIES - 1:
                raise
            time.sleep(0.2)


def faults(roles: Roles, walled: Mapping[str, str], alias: str = DEFAULT_DB_ALIAS) -> list[str]:
    """Why the wall does not stand, one sentence each. Any role may ask."""
    if not roles.limited:
        return [
            f"there is no role {limited_role(roles.app)}, or {roles.app} does not bypass row security: spaces have no"
            " second wall"
        ]
    with connections[alias].cursor() as cursor:
        cursor.execute(_POLICIES)
        found: dict[str, Any] = {table: (enabled, policies) for table, enabled, policies in cursor.fetchall()}
    return [
        f"table {table} has not the policy that keeps spaces apart"
        for table, using in sorted(walled.items())
        if table in found
        and statements(table, using, enabled=found[table][0], policies=found[table][1], role=roles.limited)
    ]
