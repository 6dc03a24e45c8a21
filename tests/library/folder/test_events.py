"""Tests of `pixelboot.library.folder.events`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.internet.testing import MemoryReactor
from twisted.python import _inotify
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.library.folder.events import Events, Told


class TestEvents(SynchronousTestCase):
    """What the kernel really tells of a folder."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).resolve()
        self.root.mkdir()
        self.reactor = MemoryReactor()
        self.ready = 0
        self.events = self.open()
        self.addCleanup(self.close)

    def close(self) -> None:
        if self.events.connected:
            self.events.close()

    def open(self) -> Events:
        def ready() -> None:
            self.ready += 1

        folder = os.open(self.root, os.O_RDONLY)
        try:
            return Events(self.reactor, folder, ready)
        finally:
            os.close(folder)

    def test_every_change(self) -> None:
        path, other = self.root / "a", self.root / "b"
        for what, change, told in (
            ("nothing", lambda: None, Told()),
            ("made", lambda: path.write_bytes(b""), Told({"a"})),
            ("written", lambda: path.write_bytes(b"octets"), Told({"a"}, {"a"})),
            ("permissions", lambda: path.chmod(0), Told({"a"})),
            ("times", lambda: os.utime(path, (1, 1)), Told({"a"})),
            ("renamed", lambda: path.rename(other), Told({"a", "b"})),
            ("moved away", lambda: other.rename(self.root.parent / "away"), Told({"b"})),
            ("moved in", lambda: (self.root.parent / "away").rename(path), Told({"a"})),
            ("read", path.read_bytes, Told()),
            ("a link", lambda: other.symlink_to("a"), Told({"b"})),
            ("a folder", (self.root / "c").mkdir, Told({"c"})),
            ("deleted", path.unlink, Told({"a"})),
            ("the folder's permissions", lambda: self.root.chmod(0o700), Told(everything=True)),
            ("not UTF-8", lambda: os.mkdir(os.fsencode(self.root) + b"/\xff"), Told(everything=True)),
            ("a long name", (self.root / ("n" * 255)).mkdir, Told({"n" * 255})),
            ("the folder is moved", lambda: self.root.rename(self.mktemp()), Told(everything=True, gone=True)),
        ):
            change()
            self.assertEqual(self.events.take(), told, what)

    def test_deleted(self) -> None:
        """The kernel then ends by itself, and the descriptor can be closed as ever."""
        self.root.rmdir()
        self.assertEqual(self.events.take(), Told(everything=True, gone=True))
        self.assertEqual(self.events.take(), Told())

    def test_lost(self) -> None:
        """When there were more events than the kernel keeps, that is told after them."""
        kept = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text(encoding="ascii"))
        one, other = self.root / "one", self.root / "other"
        one.touch()
        for _ in range(kept // 4 + 1):
            os.rename(one, other)
            os.rename(other, one)
        told = self.events.take()
        self.assertEqual(told, Told({"one", "other"}), "what was kept comes first, a part at a time")
        while not told.everything:
            self.assertTrue(told.names)
            told = self.events.take()
        self.assertEqual(self.events.take(), Told())
        one.unlink()
        self.assertEqual(self.events.take(), Told({"one"}), "it goes on")

    def test_it_tells_once_until_it_is_resumed(self) -> None:
        self.events.resume()
        self.assertIn(self.events, self.reactor.getReaders())
        self.events.doRead()
        self.assertEqual(self.ready, 1)
        self.assertNotIn(self.events, self.reactor.getReaders(), "what comes meanwhile does not wake the server")

    def test_what_is_given_back(self) -> None:
        descriptor = self.events.fileno()
        self.events.resume()
        self.events.close()
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertRaises(OSError, os.fstat, descriptor)

    def test_limits(self) -> None:
        """What the kernel refuses is an error that says what to do, and leaves nothing open."""

        def refuse(*_: Any) -> int:
            raise _inotify.INotifyError

        before = os.listdir("/proc/self/fd")
        for function, remedy in (("init", "fs.inotify.max_user_instances"), ("add", "fs.inotify.max_user_watches")):
            with patch.object(_inotify, function, refuse):
                self.assertIn(remedy, str(self.assertRaises(OSError, self.open)))
        self.assertEqual(os.listdir("/proc/self/fd"), before)
