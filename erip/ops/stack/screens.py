"""What `up` and `status` print."""

from typing import Any

from rich.console import Console
from rich.table import Table

from erip.ops.stack.control import Status
from erip.ops.stack.state import State


def show_access(state: State, status: Status, credentials: dict[str, Any]) -> None:
    """Where the platform is, and how to get in."""
    console = Console(highlight=False)
    web, flower = status.url("web"), status.url("flower")
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("API", f"{web}/api/v1/")
    table.add_row("API docs", f"{web}/api/docs")
    if key := credentials.get("api_key"):
        table.add_row("API key", str(key))
    table.add_row("Admin", f"{web}/admin/")
    if login := credentials.get("admin"):
        table.add_row("", f"{login['username']} / {login['password']}")
    if flower:
        table.add_row("Flower", f"{flower} [dim](with the admin's login)[/]")
    if (web or "").startswith("https:") and state.ca.exists():
        table.add_row("Authority", f"{state.ca} [dim](SSL_CERT_FILE for programs; import it into a browser)[/]")
    table.add_row("State", f"{state.root} [dim](logs/, credentials.json)[/]")
    console.print(table)
    console.print("[dim]make status · make logs · make down[/]")


def show_status(status: Status, leading: dict[str, str | None]) -> None:
    """One line per process; below them who leads, where there are several candidates."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title, justify in (("process", "left"), ("pid", "right"), ("up", "right"), ("restarts", "right")):
        table.add_column(title, justify=justify)  # type: ignore[arg-type]
    table.add_column("address", overflow="fold")
    for process in status.processes:
        name = process.name if process.title == process.name else f"{process.name} [dim]{process.title}[/]"
        state = str(process.pid) if process.pid else "[red]down[/]"
        restarts = f"[yellow]{process.restarts}[/]" if process.restarts else "0"
        table.add_row(name, state, duration(process.uptime), restarts, process.url or "")
    console = Console(highlight=False)
    console.print(f"[bold]ERIP is {status.phase}[/] [dim]supervisor {status.pid}[/]")
    console.print(table)
    if leading:
        console.print("[dim]leading:[/] " + " · ".join(name or "[red]nobody[/]" for name in leading.values()))


def duration(seconds: float | None) -> str:
    """`4.2 s`, `3 min`, `5 h`, `2 d`: the coarsest unit that says enough."""
    if seconds is None:
        return "-"
    for limit, size, unit in ((100, 1, "s"), (6000, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"
