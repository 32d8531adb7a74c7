"""`python -m ssd_np` is the `ssd-np` command."""

import sys

from ssd_np.cli import main

if __name__ == "__main__":
    sys.exit(main())
