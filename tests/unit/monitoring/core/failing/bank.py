"""A bank that fails in other ways than the shop. The rules of grouping were not fitted to it."""

import configparser
import csv
import datetime
import decimal
import ipaddress
import random
import re
import ssl
import string
import struct
import threading
import tomllib
import urllib.request
import zipfile
import zoneinfo
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from io import BytesIO

import httpx
import yaml
from django.core.exceptions import ImproperlyConfigured
from django.core.validators import validate_email
from django.template import Context, Engine
from django.urls import reverse
from jsonschema import validate

from workflows.errors import StepError


class LedgerError(Exception):
    pass


def word(rng: random.Random) -> str:
    return "".join(rng.choices(string.ascii_lowercase, k=rng.randint(3, 9)))


class Ledger:
    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.lines: list[int] = []

    def book(self, value: int, text: str) -> None:
        if value > self.limit:
            raise LedgerError(
                f"{value} for {text} is more than {self.limit}",
            )
        if not text.isascii():
            raise LedgerError(f"{text} cannot be printed")
        self.lines.append(value)

    def last(self) -> int:
        return self.lines[-1]

    def close(self) -> None:
        fail("the ledger of %s is closed", "today")


def fail(pattern: str, *values: object) -> None:
    message = pattern % values
    raise LedgerError(message)


def settings(text: str) -> object:
    parser = configparser.ConfigParser()
    parser.read_string(text)
    return parser["bank"]["key"]


def table(text: str) -> object:
    return list(csv.DictReader([text], strict=True))


def day(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


def money(text: str) -> decimal.Decimal:
    return decimal.Decimal(text).quantize(decimal.Decimal("0.01"))


def network(text: str) -> object:
    return ipaddress.ip_network(text)


def pattern(text: str) -> object:
    return re.compile(text)


def certificate(text: str) -> object:
    return ssl.PEM_cert_to_DER_cert(text)


def unpacked(raw: bytes) -> object:
    return struct.unpack(">IQ", raw)


def toml(text: str) -> object:
    return tomllib.loads(text)


def document(text: str) -> object:
    return yaml.safe_load(text)


def archive(raw: bytes) -> object:
    return zipfile.ZipFile(BytesIO(raw)).namelist()


def zone(name: str) -> object:
    return zoneinfo.ZoneInfo(name)


def address(text: str) -> None:
    validate_email(text)


def page(name: str) -> str:
    return reverse(name)


def letter(text: str) -> str:
    return Engine().from_string(text).render(Context())


def schema(value: object) -> None:
    validate(value, {"type": "object", "required": ["iban"]})


def in_pool(value: int) -> object:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(divided, value).result()


def divided(value: int) -> float:
    return 1 / (value - value)


def fetched(url: str) -> object:
    return httpx.get(url, timeout=1)


def opened(url: str) -> object:
    return urllib.request.urlopen(url)


def converted(rate: str) -> float:
    try:
        return float(rate)
    except ValueError as error:
        raise StepError(f"the rate {rate} of {datetime.datetime.now():%H:%M:%S} is no number", code="rate") from error


def mail(name: str) -> None:
    message = EmailMessage()
    message["Subject"] = f"To {name}\nBcc: everybody"


def configured(name: str) -> None:
    raise ImproperlyConfigured(f"The setting {name.upper()} must not be empty.")


def unlocked() -> None:
    threading.Lock().release()


def straight(do, *args):
    return do(*args)


def mapped(do, *args):
    return list(map(lambda one: do(*args), [1]))  # noqa: C417


def with_note(do, *args):
    try:
        return do(*args)
    except Exception as error:
        error.add_note(f"while working on {args!r}"[:200])
        raise


WAYS = (straight, mapped, with_note)

KINDS = {
    "over limit": lambda rng, way: way(Ledger(9).book, rng.randint(10, 99), word(rng)),
    "unprintable": lambda rng, way: way(Ledger(9).book, 1, word(rng) + "ü"),
    "empty ledger": lambda rng, way: way(Ledger(9).last),
    "ledger closed": lambda rng, way: way(Ledger(rng.randint(1, 9)).close),
    "no section": lambda rng, way: way(settings, f"[{word(rng)}]\nkey = 1"),
    "no header": lambda rng, way: way(settings, f"{word(rng)} = 1"),
    "quotes": lambda rng, way: way(table, f'a,"{word(rng)}'),
    "no day": lambda rng, way: way(day, f"2026-13-{rng.randint(10, 28)}"),
    "no money": lambda rng, way: way(money, word(rng) + "q"),
    "too much money": lambda rng, way: way(money, "9" * rng.randint(30, 40)),
    "no network": lambda rng, way: way(network, f"10.0.0.{rng.randint(1, 99)}/8"),
    "pattern": lambda rng, way: way(pattern, rng.choice(["(", "[a", "*", "a{2,1}"])),
    "certificate": lambda rng, way: way(certificate, word(rng)),
    "short record": lambda rng, way: way(unpacked, b"x" * rng.randint(0, 11)),
    "toml": lambda rng, way: way(toml, rng.choice(["a", "a = ", "[", "a = 1 b = 2", "= 1"])),
    "yaml": lambda rng, way: way(document, rng.choice(["a: b: c", "[1", "{", "\t a", "a: 'x"])),
    "no archive": lambda rng, way: way(archive, word(rng).encode()),
    "no zone": lambda rng, way: way(zone, f"Europe/{word(rng).title()}"),
    "no address": lambda rng, way: way(address, word(rng)),
    "no page": lambda rng, way: way(page, word(rng)),
    "template": lambda rng, way: way(letter, "{% " + word(rng) + "x %}"),
    "no iban": lambda rng, way: way(schema, {word(rng): 1}),
    "in a pool": lambda rng, way: way(in_pool, rng.randint(1, 9)),
    "no server": lambda rng, way: way(fetched, f"http://127.0.0.1:1/{word(rng)}"),
    "protocol": lambda rng, way: way(fetched, f"{word(rng)}://127.0.0.1/"),
    "opened": lambda rng, way: way(opened, f"http://127.0.0.1:1/{word(rng)}"),
    "rate": lambda rng, way: way(converted, word(rng)),
    "mail": lambda rng, way: way(mail, word(rng)),
    "setting": lambda rng, way: way(configured, word(rng)),
    "not locked": lambda rng, way: way(unlocked),
}
