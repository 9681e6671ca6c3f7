"""`erip`, the command line. It needs typer and rich: `pip install 'erip-client[cli]'`."""

import importlib.util
import sys


def main() -> None:
    """The program. Ends the process with one of the statuses in `exits`."""
    missing = [name for name in ("typer", "rich") if importlib.util.find_spec(name) is None]
    if missing:
        print(f"erip: {' and '.join(missing)} not installed: pip install 'erip-client[cli]'", file=sys.stderr)
        raise SystemExit(2)
    from .app import run

    raise SystemExit(run(sys.argv[1:]))
