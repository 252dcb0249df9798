"""`python -m chalicelib.cli` is `mooring`."""

import sys

from chalicelib.cli.main import main

sys.exit(main())
