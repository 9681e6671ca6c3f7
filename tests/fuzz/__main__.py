"""python -m erip.ops.stack with-servers -- python -m tests.fuzz --seconds 600 --seed 2026"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--keep", type=Path, help="Keep the logs in this folder.")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "erip.settings.test")
    import django

    django.setup()
    from django.db import connection

    from tests.fuzz.platform import platform
    from tests.fuzz.session import fuzz

    # A database of its own beside the one that the environment names, as the tests have.
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        with tempfile.TemporaryDirectory() as made:
            folder = options.keep or Path(made)
            folder.mkdir(parents=True, exist_ok=True)
            with platform(folder) as site:
                report = fuzz(site, seed=options.seed, seconds=options.seconds, folder=folder, show=True)
    finally:
        connection.creation.destroy_test_db(connection.settings_dict["NAME"], verbosity=0)
    print(json.dumps(report.document(), indent=1))
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
