"""`python -m erip.stack`."""

import sys

from .cli import main

sys.exit(main())
