"""What every command has: its target, its client, its output. And the options that every command takes."""

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from erip_client import Client
from erip_client.errors import EripError

from . import filters, profiles
from .terminal import Output, PipeClosed

#: seconds during which a request that failed for a moment is repeated
PATIENCE = 10.0

_OPTIONS = {
    "as_json": (
        Annotated[bool, typer.Option("--json", help="Print the documents of the API, for programs.")],
        False,
    ),
    "profile": (
        Annotated[str | None, typer.Option("--profile", "-p", metavar="NAME", help="A profile of `erip login`.")],
        None,
    ),
    "url": (
        Annotated[str | None, typer.Option("--url", metavar="URL", help="The server, in place of a profile's.")],
        None,
    ),
}


@dataclass
class Session:
    """One command's. The client is made when it is first used."""

    out: Output
    profile: str | None
    url: str | None

    @functools.cached_property
    def target(self) -> profiles.Target:
        """Raises Misconfigured."""
        return profiles.target(profiles.load(profiles.path()), self.url, self.profile, os.environ)

    @functools.cached_property
    def client(self) -> Client:
        """Raises Misconfigured."""
        return self.client_of(self.target)

    def client_of(self, target: profiles.Target) -> Client:
        # A key of "" is none: the environment's was looked at when the target was chosen.
        return Client(target.url, target.key or "", patience=PATIENCE, on_retry=self._announce())

    def _announce(self) -> Callable[[EripError, float], None]:
        """Says once that requests are repeated, so that a wait does not look like a hang."""
        said: list[str] = []

        def announce(error: EripError, _: float) -> None:
            if not said:
                said.append(str(error))
                self.out.note(f"erip: {str(error).splitlines()[0]} Trying again …")

        return announce


def command(
    app: typer.Typer, name: str, *, selects: bool = False, **settings: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command whose first parameter is the Session; it takes the options that all commands share.

    selects: it also takes those that say which runs are meant, and gets what is given of them as `filter`.
    """
    options = (filters.OPTIONS if selects else {}) | _OPTIONS

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def called(**named: Any) -> None:
            shared = {option: named.pop(option) for option in options}
            if selects:
                named["filter"] = filters.chosen({option: shared[option] for option in filters.OPTIONS})
            session = Session(Output(as_json=shared["as_json"]), shared["profile"], shared["url"])
            try:
                function(session, **named)
            except BrokenPipeError:
                raise PipeClosed from None  # typer would end the process

        parameters = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        own = [one for one in parameters if one.name != "filter" or not selects]
        more = [
            inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for option, (annotation, default) in options.items()
        ]
        named = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
        called.__signature__ = inspect.Signature([*named, *more])  # type: ignore[attr-defined]
        called.__annotations__ = {one.name: one.annotation for one in [*named, *more]}
        del called.__wrapped__  # its signature is not this one's
        app.command(name, **settings)(called)
        return function

    return register
