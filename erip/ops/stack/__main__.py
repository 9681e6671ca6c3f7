"""`python -m erip.ops.stack`."""

import sys

from erip.ops.stack.cli import main

sys.exit(main())
