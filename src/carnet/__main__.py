"""`python -m carnet`: the same as the `carnet` command."""

import sys

from carnet.cli import main

if __name__ == "__main__":
    sys.exit(main())
