"""`python -m edgeemo`: the same as the command `edgeemo`."""

import sys

from edgeemo.cli import main

sys.exit(main())
