"""`python -m tfexplore`."""

import sys

from tfexplore.cli import main

if __name__ == "__main__":
    sys.exit(main())
