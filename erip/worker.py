"""`python -m erip.worker -Q critical,high -n general@%h …`: one Celery worker of the platform.

It takes the options of `celery -A erip worker`, which works as well, all but `--detach`. Celery's command line loads a
shell for the terminal and every command that a library adds to it, such as Flower with its web server: 200 modules and
10 MB that a worker would keep and never use.
"""

import os
import signal
import sys

if __name__ == "__main__":
    # Before all that takes a moment to load: Note [Told early] in `erip.foundation.process.early_end`.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

from erip.celery import app
from erip.foundation.without import without

with without("pygments"):
    from celery.bin.base import CLIContext
    from celery.bin.worker import worker


def main(arguments: list[str]) -> None:
    """Exits with the worker's exit code."""
    # After SIGHUP Celery runs Python again with these words. The path of this file, which Python puts there, is none
    # that finds the package.
    sys.argv = ["-m", "erip.worker", *arguments]
    # It would run `celery` with these words, which are not its own. A supervisor keeps a worker in the background.
    worker.params = [one for one in worker.params if one.name != "detach"]
    told = CLIContext(app=app, no_color=not sys.stderr.isatty(), workdir=None)
    worker.main(args=arguments, prog_name="python -m erip.worker", obj=told)


if __name__ == "__main__":
    main(sys.argv[1:])
