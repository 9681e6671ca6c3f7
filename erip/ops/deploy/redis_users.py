"""The logins of Redis and Sentinel: one for each kind of process, with the commands and keys that it needs.

Whoever takes over a web process can add messages to the lanes, which are ids that workers look up in PostgreSQL; it can
neither take messages, nor empty the broker, nor change its settings. The user `default`, with the password of
`requirepass`, is the operator's: no process of the platform has it.
"""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

FLOWER: Final = "flower"
REPLICA: Final = "replica"
SENTINEL: Final = "sentinel"
WEB, WORKER, LEADER = "web", "worker", "leader"

_CONNECT: Final = "-@all +ping +hello +auth +select +client|setname"
#: kombu looks up where a message goes, and declares its queue
_SEND: Final = f"{_CONNECT} +multi +exec +discard +lpush +llen +sadd +smembers +info"
_LANES: Final = ("critical*", "high*", "standard*", "bulk*")
_BINDINGS: Final = "~_kombu.binding.erip ~_kombu.binding_permanent.erip"


def _keys(flag: str, patterns: tuple[str, ...] = _LANES) -> str:
    return " ".join(f"{flag}{pattern}" for pattern in patterns)


#: It may receive events on a queue of its own, and read the length of the lanes. It can neither send a task nor take
#: one out.
_FLOWER: Final = (
    "resetchannels &/0.celeryev/* "
    "~celeryev.* ~_kombu.binding.celeryev ~_kombu.binding_permanent.celeryev ~_kombu.binding_deadlines "
    "-@all +ping +hello +auth +client|setname +select +multi +exec +discard +psubscribe +punsubscribe +subscribe "
    "+unsubscribe +time +sadd +srem +smembers +brpop +llen +del +exists +pexpire +zadd "
    # kombu keeps the expiry of its queue by a script, which may do no more than its caller.
    "+eval +evalsha +script|load +script|exists"
)
#: Lanes that may only be written, or only read, exist from Redis 7 on; before it, they can be both.
_RULES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        WEB: (f"resetchannels {_BINDINGS} {_SEND}", _keys("%W~")),
        LEADER: (f"resetchannels {_BINDINGS} {_SEND}", _keys("%W~")),
        # It takes messages, hands work on, and says on Celery's channel of events what it does. A key of a lane that is
        # no list is removed.
        WORKER: (
            f"resetchannels &/0.celeryev/* {_BINDINGS} ~_kombu.binding.celeryev {_SEND} +brpop +type +del +publish",
            _keys("~"),
        ),
        FLOWER: (_FLOWER, _keys("%R~")),
        # What Redis's documentation names for the two.
        REPLICA: ("resetchannels -@all +psync +replconf +ping", ""),
        SENTINEL: (
            "allchannels -@all +multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info "
            "+client|setname +client|kill +script|kill",
            "",
        ),
    }
)
#: what the platform and PULSE ask a Sentinel
_ASK: Final = "resetchannels -@all +ping +hello +auth +client|setname +info " + " ".join(
    f"+sentinel|{word}"
    for word in (
        *("get-master-addr-by-name", "masters", "master", "replicas", "slaves", "sentinels", "ckquorum", "myid"),
    )
)


def lines(passwords: Mapping[str, str], *, major: int) -> str:
    """Lines of redis.conf for these logins, by their names. major: of the server's version."""
    return "".join(f"user {name} on {_hash(password)} {_rules(name, major)}\n" for name, password in passwords.items())


def sentinel_lines(password: str, peer_password: str) -> str:
    """Lines of sentinel.conf: who has the password may ask where the master is; Sentinels may tell each other all."""
    asks, tells = _hash(password), _hash(peer_password)
    return f"user default on {asks} {_ASK}\nuser {SENTINEL} on {tells} allchannels +@all\n"


def _rules(name: str, major: int) -> str:
    rules, lanes = _RULES[name]
    if major < 7:
        # Their channels are not restricted by version 6.0, and it does not know the word.
        lanes = "" if name == FLOWER else lanes.replace("%W~", "~")
    return f"{rules} {lanes}".strip()


def _hash(password: str) -> str:
    return "#" + hashlib.sha256(password.encode()).hexdigest()
