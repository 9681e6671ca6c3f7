"""The platform itself: sign in, profiles, whether it is well, and what it has to do."""

import getpass
import sys
from typing import Annotated

import typer
from rich.text import Text

from erip_client.models import Health
from erip_client.settings import DEFAULT_URL, checked_key, checked_url

from .. import profiles, show
from ..exits import Exit
from ..profiles import Misconfigured, Profile, Target
from ..session import Session, command
from ..terminal import coloured
from ..words import safe

LOCAL = ("localhost", "127.0.0.1", "::1")


def register(app: typer.Typer) -> None:
    command(app, "login")(login)
    command(app, "logout")(logout)
    command(app, "profiles")(list_profiles)
    command(app, "health")(health)
    command(app, "status")(status)


def login(
    erip: Session,
    address: Annotated[str | None, typer.Argument(metavar="[URL]", help=f"The server; {DEFAULT_URL}.")] = None,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Ask the server whether it knows the key.")] = True,
) -> None:
    """Keep an address and an API key as a profile (--profile; `default` otherwise). Asks for the key, or reads it from
    standard input."""
    if address and erip.url:
        raise typer.BadParameter("The address is there twice: as an argument and as --url.")
    url = checked_url(address or erip.url or DEFAULT_URL)
    host = profiles.origin(url)
    if host[0] == "http" and host[1] not in LOCAL:
        erip.out.note(f"erip: {url} is not encrypted: whoever can listen on the way can read the key.")
    key = checked_key(getpass.getpass("API key: ") if sys.stdin.isatty() else sys.stdin.readline(2000))
    if key is None:
        raise Misconfigured("no key was given")
    if check:
        erip.client_of(Target(url, key, None)).list_workflows(limit=1)
    file, name = profiles.path(), erip.profile or "default"
    config = profiles.load(file)
    config.profiles[name] = Profile(url, key)
    config.default = config.default or name
    profiles.save(file, config)
    erip.out.note(f"Profile {name} is kept in {file}.")


def logout(erip: Session) -> None:
    """Forget a profile and its key."""
    file = profiles.path()
    config = profiles.load(file)
    name = erip.profile or config.default
    if name is None or config.profiles.pop(name, None) is None:
        raise Misconfigured(f"there is no profile {name!r}" if name else "there is no profile")
    if config.default == name:
        config.default = None
    profiles.save(file, config)
    erip.out.note(f"Profile {name} is forgotten. The key is still valid: revoke it in the admin if nobody needs it.")


def list_profiles(
    erip: Session,
    use: Annotated[str | None, typer.Option("--use", metavar="NAME", help="Make this one the default.")] = None,
) -> None:
    """List profiles; keys are not shown."""
    file = profiles.path()
    config = profiles.load(file)
    if use is not None:
        if use not in config.profiles:
            raise Misconfigured(f"there is no profile {use!r}")
        config.default = use
        profiles.save(file, config)
    if erip.out.as_json:
        items = [
            {"name": name, "url": one.url, "has_key": one.key is not None, "default": name == config.default}
            for name, one in sorted(config.profiles.items())
        ]
        return erip.out.document({"items": items})
    rows = [
        ("*" if name == config.default else "", name, one.url, "yes" if one.key else "no")
        for name, one in sorted(config.profiles.items())
    ]
    return erip.out.table(("", "PROFILE", "URL", "KEY"), rows)


def health(erip: Session) -> None:
    """Whether the platform can serve. Needs no key; status 1 if it cannot."""
    found = erip.client.ready()
    if erip.out.as_json:
        erip.out.document(found)
    else:
        _health(erip, found)
    raise typer.Exit(Exit.OK if found.status in ("ready", "degraded") else Exit.FAILED)


def status(erip: Session) -> None:
    """The platform at a glance: whether it is well, what events wait, which runs failed last."""
    target, client = erip.target, erip.client
    found, events = client.read_health(), client.events_status()
    failed = client.list_runs(status="FAILED", limit=5)
    if erip.out.as_json:
        return erip.out.document(
            {"url": target.url, "profile": target.profile, "health": found, "events": events, "failed": failed.items}
        )
    erip.out.line(f"{target.url}{f'  (profile {target.profile})' if target.profile else ''}", "bold")
    erip.out.print(Text.assemble(coloured(found.state), f": {safe(found.sentence)}"))
    for one in found.components:
        if one.state != "ok":
            erip.out.print(Text.assemble(f"  {safe(one.component)}: ", coloured(one.state), f"  {safe(one.sentence)}"))
    owned = sum(1 for one in events.consumers if one.alive)
    erip.out.line(f"events: {events.lag} wait, {events.rate:.1f} a second, {owned} consumers")
    erip.out.line(f"dead letters: {events.dead_letters} open", "yellow" if events.dead_letters else "")
    if not failed.items:
        return erip.out.line("failed runs: none")
    erip.out.line("failed runs, newest first:")
    return show.runs_table(erip.out, failed.items)


def _health(erip: Session, found: Health) -> None:
    parts = {"status": found.status, "database": found.database, "broker": found.broker, **(found.model_extra or {})}
    for name, value in parts.items():
        if value is not None:
            erip.out.print(Text.assemble(f"{safe(name)}: ", coloured(str(value))))
