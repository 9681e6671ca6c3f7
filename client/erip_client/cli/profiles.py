"""Profiles: where the servers are and which keys are used there. One TOML file, readable by its owner alone.

Note [Whose key goes where]
A profile's key is sent to the profile's own address and nowhere else: with `--url` or ERIP_URL at another address, a
key must come from ERIP_API_KEY. No option takes a key, so none is ever on a command line, in the list of processes or
in a shell's history.
"""

import json
import os
import stat
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import typer

from erip_client.settings import DEFAULT_URL, checked_key, checked_url

FILE = "config.toml"


class Misconfigured(Exception):
    """The configuration cannot be used; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Profile:
    url: str
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Target:
    """Which server, with which key. profile: its name; None: it was named in another way."""

    url: str
    key: str | None = field(repr=False)
    profile: str | None


@dataclass(slots=True)
class Config:
    default: str | None = None
    profiles: dict[str, Profile] = field(default_factory=dict)


def path() -> Path:
    """ERIP_CONFIG, or where the platform keeps settings: ~/.config/erip, ~/Library/Application Support/erip, …"""
    named = os.environ.get("ERIP_CONFIG")
    if named:
        return Path(named)
    folder = os.environ.get("XDG_CONFIG_HOME")
    return (Path(folder) / "erip" if folder else Path(typer.get_app_dir("erip"))) / FILE


def load(file: Path) -> Config:
    """Raises Misconfigured."""
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno())
            found = tomllib.load(opened)
    except FileNotFoundError:
        return Config()
    except OSError as error:
        raise Misconfigured(f"{file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{file} is no TOML: {error}") from None
    config = _read(file, found)
    if any(profile.key for profile in config.profiles.values()):
        _refuse_if_others_can_read(file, mode)
    return config


def save(file: Path, config: Config) -> None:
    """Written whole or not at all, with mode 600 from its first byte on. Raises Misconfigured."""
    lines = ["# Written by `erip login`. It holds keys: its mode must stay 600.\n"]
    if config.default:
        lines.append(f"default = {_quoted(config.default)}\n")
    for name, profile in sorted(config.profiles.items()):
        lines.append(f"\n[profiles.{_quoted(name)}]\nurl = {_quoted(profile.url)}\n")
        if profile.key:
            lines.append(f"key = {_quoted(profile.key)}\n")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, made = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")  # mode 600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as opened:
                opened.write("".join(lines))
            os.replace(made, file)
        except BaseException:
            os.unlink(made)
            raise
    except OSError as error:
        raise Misconfigured(f"{file}: {error.strerror}") from None


def target(config: Config, url: str | None, name: str | None, environment: Mapping[str, str]) -> Target:
    """The first that is given: --url, --profile, ERIP_URL, ERIP_PROFILE, the default profile, 127.0.0.1:8000.

    Raises Misconfigured.
    """
    try:
        own_key = checked_key(environment.get("ERIP_API_KEY"))
    except ValueError as error:
        raise Misconfigured(f"ERIP_API_KEY: {error}") from None
    address = url or (None if name else environment.get("ERIP_URL"))
    chosen = name or environment.get("ERIP_PROFILE") or config.default
    profile = config.profiles.get(chosen) if chosen else None
    if chosen and profile is None and (name or address is None):
        known = ", ".join(sorted(config.profiles)) or "none"
        raise Misconfigured(f"there is no profile {chosen!r}; there are: {known}. `erip login` makes one")
    if address is not None:
        try:
            address = checked_url(address)
        except ValueError as error:
            raise Misconfigured(str(error)) from None
        same = profile is not None and origin(profile.url) == origin(address)
        return Target(address, own_key or (profile.key if profile and same else None), chosen if same else None)
    if profile is None:
        return Target(DEFAULT_URL, own_key, None)
    return Target(profile.url, profile.key if name and profile.key else own_key or profile.key, chosen)


def origin(url: str) -> tuple[str, str | None, int]:
    """Scheme, host and port: what a key is given to."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)


def _read(file: Path, found: Mapping[str, object]) -> Config:
    """Raises Misconfigured with every fault."""
    faults = [f"{name}: is not known" for name in found if name not in ("default", "profiles")]
    default, profiles = found.get("default"), found.get("profiles", {})
    if default is not None and not isinstance(default, str):
        faults.append("default: must be the name of a profile")
    made: dict[str, Profile] = {}
    for name, values in profiles.items() if isinstance(profiles, dict) else ():
        place = f"profiles.{name}"
        if not isinstance(values, dict):
            faults.append(f"{place}: must be a table")
            continue
        faults += [f"{place}.{key}: is not known" for key in values if key not in ("url", "key")]
        try:
            made[name] = Profile(checked_url(str(values.get("url", ""))), checked_key(values.get("key")))
        except (ValueError, AttributeError) as error:
            faults.append(f"{place}: {error}")
    if not isinstance(profiles, dict):
        faults.append("profiles: must be a table")
    if faults:
        raise Misconfigured(f"{file}: {'; '.join(faults)}")
    return Config(default if isinstance(default, str) else None, made)


def _refuse_if_others_can_read(file: Path, found: os.stat_result) -> None:
    if os.name != "posix":
        return
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Misconfigured(f"{file} holds keys, and others may read it: chmod 600 {file}")
    if found.st_uid not in (os.geteuid(), 0):
        raise Misconfigured(f"{file} holds keys, and belongs to another user")


def _quoted(text: str) -> str:
    """A basic string of TOML: JSON's escapes are among its own, but for pairs of surrogates."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
