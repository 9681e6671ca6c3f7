"""What the guard must know, from Patroni's own configuration file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from erip.foundation.os_errors import in_words
from erip.ops.guard.etcd import Tls

Address = tuple[str, int]


class BadConfiguration(Exception):
    """The file lacks something that the guard needs; the message names it."""


@dataclass(frozen=True)
class Configuration:
    """One node."""

    file: Path
    name: str
    #: `/service/<scope>/`, under which Patroni keeps its keys
    prefix: str
    etcd: tuple[Address, ...]
    etcd_user: str
    etcd_password: str = field(repr=False)
    #: None where etcd is used without certificates
    etcd_tls: Tls | None
    rest: Address
    #: for every member's REST API; None where they speak plain HTTP
    rest_tls: Tls | None
    postgres: Address
    data: Path
    superuser: str
    password: str = field(repr=False)
    #: libpq's parameters for TLS, as Patroni has them
    postgres_tls: Mapping[str, str] = field(default_factory=dict)

    @property
    def leader_key(self) -> str:
        return f"{self.prefix}leader"

    @property
    def votes_prefix(self) -> str:
        """Outside the prefix of Patroni's keys, because Patroni watches that."""
        return f"/guard{self.prefix}votes/"


def read(file: Path) -> Configuration:
    """Raises BadConfiguration."""
    try:
        found = yaml.safe_load(file.read_text())
        scope, namespace = found["scope"], str(found.get("namespace", "/service/")).strip("/")
        etcd = found["etcd3"]
        superuser = found["postgresql"]["authentication"]["superuser"]
        return Configuration(
            file=file,
            name=str(found["name"]),
            prefix=f"/{namespace}/{scope}/",
            etcd=tuple(_address(host) for host in _hosts(etcd)),
            etcd_user=str(etcd.get("username", "")),
            etcd_password=str(etcd.get("password", "")),
            etcd_tls=_tls(etcd),
            rest=_address(found["restapi"]["connect_address"]),
            rest_tls=_rest_tls(found),
            postgres=_address(found["postgresql"]["connect_address"]),
            data=Path(found["postgresql"]["data_dir"]),
            superuser=str(superuser["username"]),
            password=str(superuser["password"]),
            postgres_tls={name: str(value) for name, value in superuser.items() if name.startswith("ssl")},
        )
    except (OSError, yaml.YAMLError) as error:
        raise BadConfiguration(in_words(error, file)) from error
    except (KeyError, TypeError, ValueError) as error:
        raise BadConfiguration(f"{file}: missing or malformed: {error}") from error


def _tls(etcd: Mapping[str, Any]) -> Tls | None:
    """As Patroni has it: `cacert`, `cert` and `key` beside `protocol: https`."""
    if etcd.get("protocol", "http") != "https":
        return None
    return Tls(Path(etcd["cacert"]), Path(etcd["cert"]), Path(etcd["key"]))


def _rest_tls(found: Mapping[str, Any]) -> Tls | None:
    """As Patroni has it: `certfile` under `restapi`, and what its own requests use under `ctl`.

    The files are read here already: such as cannot be used must not look like a Patroni that does not answer. Raises
    OSError.
    """
    if not found["restapi"].get("certfile"):
        return None
    ctl = found["ctl"]
    tls = Tls(Path(ctl["cacert"]), Path(ctl["certfile"]), Path(ctl["keyfile"]))
    tls.context()
    return tls


def _hosts(etcd: Mapping[str, Any]) -> list[str]:
    hosts = etcd.get("hosts") or etcd["host"]
    return [one.strip() for one in hosts.split(",")] if isinstance(hosts, str) else [str(one) for one in hosts]


def _address(text: str) -> Address:
    """`10.0.0.1:5432`, `[::1]:5432`, with or without a scheme in front."""
    host, _, port = text.rpartition("//")[2].rpartition(":")
    return host.strip("[]"), int(port)
