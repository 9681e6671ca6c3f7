"""What a user asked for in the environment: kept with a stack, compared with what it runs with, refused by name.

Nothing that a user sets for `up` is dropped without a word: it is honoured, or the start is refused.
"""

import difflib
import os
from collections.abc import Mapping

from erip.ops.stack import environment
from erip.ops.stack.errors import StackError
from erip.ops.stack.state import State, read_json, write_json

#: what concerns the command, not the stack; and what the program `erip` reads, which talks to a stack
_NOT_OF_A_STACK = frozenset(
    {"ERIP_STATE_DIR", "ERIP_TEST_DATA", "ERIP_STACK_ID"} | {"ERIP_URL", "ERIP_API_KEY", "ERIP_PROFILE", "ERIP_CONFIG"}
)


def of(env: Mapping[str, str]) -> dict[str, str]:
    """The settings in an environment."""
    given = environment.of_platform(env)
    base = environment.base(env)
    return {name: value for name, value in given.items() if name not in base and name not in _NOT_OF_A_STACK}


def keep(state: State, env: Mapping[str, str]) -> None:
    """Record what the stack is started with, for its owner alone."""
    write_json(state.asked, of(env))


def kept(state: State) -> dict[str, str]:
    return {str(name): str(value) for name, value in read_json(state.asked).items()}


def refuse_what_a_running_stack_lacks(state: State, env: Mapping[str, str]) -> None:
    """A stack keeps the environment that it was started with: another one is not taken in silently."""
    if not state.asked.exists():
        return
    runs_with = kept(state)
    new = sorted(name for name, value in of(env).items() if value and runs_with.get(name) != value)
    if new:
        raise StackError(
            f"ERIP runs already, without {', '.join(f'this {name}' for name in new)}: `make restart` with the same "
            "settings brings them in."
        )


def refuse_strange_names(env: Mapping[str, str], known: frozenset[str]) -> None:
    """A setting that is misspelt would be ignored. A name that resembles none may be a setting of an own package."""
    strange = {}
    for name in of(env):
        if name.startswith("ERIP_") and name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.88)
            if close:
                strange[name] = close[0]
    if strange:
        each = "; ".join(f"{name} is no setting (did you mean {close}?)" for name, close in sorted(strange.items()))
        raise StackError(f"{each}. The list: docs/reference/settings.md")


def merged(state: State) -> dict[str, str]:
    """What a restart asks for: what the stack was started with, and over it what is set now."""
    return {**kept(state), **of(os.environ)}
