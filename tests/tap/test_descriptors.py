"""Tests of `pixelboot.tap.descriptors`: with the limits of a child process, for those of this one are everybody's."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

SCRIPT = """
import resource, sys
from twisted.logger import globalLogPublisher
from pixelboot.http.connection.settings import LimitSettings
from pixelboot.tap.descriptors import affordable
soft, hard, connections, own = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
told = []
globalLogPublisher.addObserver(told.append)
limits = affordable(LimitSettings(connections=connections), own=bool(own))
print(limits.connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0], len(told))
"""


class AffordableTests(SynchronousTestCase):
    """Connections, the soft limit, and whether the log tells."""

    def test_table(self) -> None:
        for soft, hard, connections, own, outcome in (
            (1024, 2000, 400, 1, "400 1024 0"),
            (1024, 2000, 1000, 1, "1000 1512 0"),
            (1024, 2000, 4096, 1, "1488 2000 1"),
            (1024, 2000, 4096, 0, "512 1024 1"),
            (256, 256, 4096, 1, "128 256 1"),
        ):
            words = [sys.executable, "-c", SCRIPT, *map(str, (soft, hard, connections, own))]
            done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=30)
            self.assertEqual(done.stdout.strip(), outcome, words[3:])
