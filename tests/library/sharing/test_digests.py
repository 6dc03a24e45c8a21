"""Tests of `pixelboot.library.sharing.digests`; `tests.library.test_tree` has those of entity tags."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.folder.look import Stamp
from pixelboot.library.sharing.digests import digest


class DigestTests(SynchronousTestCase):
    """What a thread does."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_bytes(b"x" * 3_000_000)
        self.descriptor = os.open(self.path, os.O_RDONLY)
        self.stamp = Stamp.of(os.fstat(self.descriptor))

    def test_the_octets(self) -> None:
        self.assertEqual(digest(self.descriptor, self.stamp), hashlib.sha256(b"x" * 3_000_000).hexdigest())
        self.assertRaises(OSError, os.fstat, self.descriptor)

    def test_another_state(self) -> None:
        """A file that is not what it was has no digest; the descriptor is closed."""
        os.truncate(self.path, 5)
        error = self.assertRaises(OSError, digest, self.descriptor, self.stamp)
        self.assertEqual(getattr(error, "errno", 0), errno.ESTALE)
        self.assertRaises(OSError, os.fstat, self.descriptor)
