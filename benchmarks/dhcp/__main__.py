"""``python -m benchmarks.dhcp``."""

import sys

from benchmarks.dhcp.run import main

sys.exit(main())
