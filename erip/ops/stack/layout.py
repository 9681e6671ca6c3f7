"""What a stack consists of. `single` has one server of each kind, `ha` survives the loss of any of its processes."""

from collections.abc import Iterator
from typing import Protocol

from erip.ops.stack.children import Server
from erip.ops.stack.services import Service


class Layout(Protocol):
    """The servers and services of one stack, asked for in this order by the supervisor."""

    @property
    def name(self) -> str:
        """`single` or `ha`."""

    @property
    def addresses(self) -> dict[str, str]:
        """URLs for users: `web`, and `flower` where it runs."""

    def replace_certificates(self) -> None:
        """Those that servers have are due from now on."""

    def serves(self) -> bool:
        """Whether users are answered at `addresses["web"]`."""

    @property
    def secrets(self) -> dict[str, str]:
        """As `state.make_secrets` made them."""

    def servers(self) -> Iterator[list[Server]]:
        """Groups, each started when the one before it is ready, and ended in the reverse order."""

    def settings(self) -> dict[str, str]:
        """What the platform gets once the servers run, DATABASE_URL and ERIP_BROKER_URL included."""

    def services(self, env: dict[str, str]) -> list[Service]:
        """The platform's processes, with the environment `env`."""
