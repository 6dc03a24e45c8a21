"""``python -m benchmarks.tftp``."""

import sys

from benchmarks.tftp.run import main

sys.exit(main())
