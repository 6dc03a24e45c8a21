"""``python -m pixelboot`` is the ``pixelboot`` command."""

import sys

from pixelboot.cli import main

if __name__ == "__main__":
    sys.exit(main())
