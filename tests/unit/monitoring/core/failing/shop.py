"""A shop whose every function fails, one kind or two each. `KINDS` names them: label → what is called with random
values. The way to the place differs by `way`."""

import asyncio
import json
import random
import socket
import sqlite3
import string
import subprocess
import sys
import uuid
from pathlib import Path
from xml.etree import ElementTree

from pydantic import BaseModel

from workflows.errors import PermanentStepError, StepError


class Unavailable(Exception):
    pass


class Refused(Exception):
    pass


class Order(BaseModel):
    amount: int
    customer: str


def word(rng: random.Random) -> str:
    return "".join(rng.choices(string.ascii_lowercase, k=rng.randint(3, 9)))


# --- places -------------------------------------------------------------------------------------------------


def parsed(text: str) -> object:
    return json.loads(text)


def field(record: dict, name: str) -> object:
    return record[name]


def amount(text: str) -> int:
    return int(text)


def check(total: int, currency: str, order: str) -> None:
    if total < 0:
        raise ValueError(f"total {total} of order {order} is negative")
    if currency not in ("EUR", "USD"):
        raise ValueError(f"currency {currency!r} of order {order} is not taken here")


def refuse(message: str) -> None:
    """What several callers share: only the message says which of them it was."""
    raise Refused(message)


def ask(port: int, patience: float) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
            return connection.recv(10)
    except OSError as error:
        raise Unavailable(f"the warehouse at 127.0.0.1:{port} did not answer within {patience} s") from error


def load(path: str) -> str:
    return Path(path).read_text("utf-8")


def share(total: float, parts: int) -> float:
    return total / parts


def name_of(customer: object) -> str:
    return customer.name.upper()  # type: ignore[attr-defined]


def label(number: object) -> str:
    return "order " + number  # type: ignore[operator]


def depth(tree: dict) -> int:
    return 1 + depth(tree)


def decoded(raw: bytes) -> str:
    return raw.decode("utf-8")


def balanced(left: int, right: int) -> None:
    assert left == right, f"{left} is not {right}"


def read_order(document: dict) -> Order:
    return Order.model_validate(document)


def insert(key: int, *, table: str = "orders") -> None:
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        database.execute("INSERT INTO orders VALUES (?)", [key])
        database.execute(f"INSERT INTO {table} VALUES (?)", [key])


def report(text: str) -> object:
    return ElementTree.fromstring(text)


def tool(status: int) -> None:
    subprocess.run([sys.executable, "-S", "-E", "-c", f"raise SystemExit({status})"], check=True)


async def _one(number: int) -> None:
    await asyncio.sleep(0)
    raise LookupError(f"part {number} is lost")


async def _all(number: int) -> None:
    async with asyncio.TaskGroup() as group:
        for each in range(number):
            group.create_task(_one(each))


def together(number: int) -> None:
    asyncio.run(_all(number))


def pay(rng: random.Random) -> None:
    if rng.random() < 2:
        raise StepError(f"card of {word(rng)} was declined for {rng.randint(1, 999)} EUR", code="declined")


def close(account: str) -> None:
    raise PermanentStepError(f"account {account} is closed", code="closed")


# --- ways to them -------------------------------------------------------------------------------------------


def straight(do, *args, **options):
    return do(*args, **options)


def through_loop(do, *args, **options):
    return [do(*args, **options) for _ in range(2)]


def through_handler(do, *args, **options):
    try:
        return do(*args, **options)
    finally:
        word(random.Random(1))


def through_method(do, *args, **options):
    class Caller:
        def call(self):
            return through_handler(do, *args, **options)

    return Caller().call()


WAYS = (straight, through_loop, through_handler, through_method)


def silent_port() -> tuple[socket.socket, int]:
    server = socket.create_server(("127.0.0.1", 0), backlog=8)
    return server, server.getsockname()[1]


def closed_port() -> int:
    server, port = silent_port()
    server.close()
    return port


def timed_out(rng, way):
    server, port = silent_port()
    with server:
        way(ask, port, rng.choice([0.001, 0.002, 0.003]))


#: what the JSON parser says differs by the place
BROKEN = ("", "{", '{"a" 1}', '{"a": }', "[1, 2", '"open', "nul", "{'a': 1}")
KINDS = {
    "json": lambda rng, way: way(parsed, rng.choice(BROKEN) + " " * rng.randint(0, 3)),
    "missing field": lambda rng, way: way(field, {}, word(rng)),
    "no number": lambda rng, way: way(amount, word(rng)),
    "negative": lambda rng, way: way(check, -rng.randint(1, 10**6), "EUR", str(uuid.UUID(int=rng.getrandbits(128)))),
    "currency": lambda rng, way: way(check, 1, word(rng).upper(), f"A-{rng.randint(1, 999)}"),
    "refused: blocked": lambda rng, way: way(
        refuse, f"customer {rng.randint(1, 999)} is blocked since 2026-01-0{rng.randint(1, 9)}"
    ),
    "refused: limit": lambda rng, way: way(
        refuse, f"the limit of {rng.randint(1, 999)},50 EUR is reached by {rng.randint(1, 99)} %"
    ),
    "no answer: refused": lambda rng, way: way(ask, closed_port(), rng.choice([1, 2])),
    "no answer: time is over": timed_out,
    "no file": lambda rng, way: way(load, f"/srv/{word(rng)}/{word(rng)}.txt"),
    "directory": lambda rng, way: way(load, rng.choice(["/", "/usr", "/etc"])),
    "zero": lambda rng, way: way(share, rng.random(), 0),
    "nobody": lambda rng, way: way(name_of, None),
    "no text": lambda rng, way: way(label, rng.randint(1, 9)),
    "too deep": lambda rng, way: way(depth, {word(rng): 1}),
    "not utf-8": lambda rng, way: way(decoded, b"x" * rng.randint(0, 9) + bytes([rng.choice([0xFF, 0xC3, 0x80])])),
    "unbalanced": lambda rng, way: way(balanced, rng.randint(1, 9), rng.randint(10, 99)),
    "no order": lambda rng, way: way(read_order, {"amount": word(rng), "customer": word(rng)}),
    "there already": lambda rng, way: way(insert, rng.randint(1, 99)),
    "no table": lambda rng, way: way(insert, 1, table=word(rng) + "s"),
    "no xml": lambda rng, way: way(report, rng.choice(["<a>", "<a></b>", "", "<a", "&", "<a b=1/>"])),
    "tool": lambda rng, way: way(tool, rng.randint(1, 9)),
    "lost parts": lambda rng, way: way(together, rng.randint(1, 4)),
    "declined": lambda rng, way: way(pay, rng),
    "closed": lambda rng, way: way(close, f"DE{rng.randint(10**8, 10**9)}"),
}  # fmt: skip
