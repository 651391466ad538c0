"""`python -m regrow.cli`, where the `regrow` script is not on the PATH."""

import sys

from regrow.cli import main

sys.exit(main())
