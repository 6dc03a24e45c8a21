"""Tests of `pixelboot.library.folder.watch`, with the kernel's own events, and a clock that is moved by hand."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python import _inotify
from twisted.trial.unittest import TestCase

from pixelboot.library.folder import watch
from pixelboot.library.folder.watch import COALESCE, POLL, SAFETY, FolderWatch

reactor: Any = installed

Names = frozenset[str] | None


class WatchCase(TestCase):
    """A folder, and what is told of it."""

    timeout = 10

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).resolve()
        self.root.mkdir()
        self.clock = Clock()
        self.told: list[Names] = []

    def watch(self, *roots: Path, poll: bool = False) -> FolderWatch:
        folders = [str(root) for root in roots or (self.root,)]
        folder_watch = FolderWatch(folders, reactor, self.told.append, poll, self.clock)
        self.addCleanup(folder_watch.stop)
        folder_watch.start()
        return folder_watch

    def soon(self) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        reactor.callLater(0, done.callback, None)
        return done

    def due(self) -> bool:
        """Whether something is about to be told."""
        return any(call.getTime() - self.clock.seconds() < 1.5 * COALESCE for call in self.clock.getDelayedCalls())

    async def next(self) -> Names:
        """What is told next, which `COALESCE` seconds make come when there is something."""
        while not self.told:
            if self.due():
                self.clock.advance(COALESCE)
            else:
                await self.soon()
        return self.told.pop(0)

    async def checked(self, folder_watch: FolderWatch) -> None:
        """A check, from its beginning to its end."""
        await self.idle(folder_watch)
        self.clock.advance(POLL)
        await self.idle(folder_watch)

    async def idle(self, folder_watch: FolderWatch) -> None:
        """Wait for the threads."""
        while any(folder._examining for folder in folder_watch._folders):
            await self.soon()

    async def until(self, expected: Names) -> None:
        """Wait until this is told; what is told before may only be a part of it."""
        while (told := await self.next()) != expected:
            self.assertTrue(expected is None or (told is not None and told < expected), f"{told} {expected}")


class TestChanges(WatchCase):
    """What is told, of a folder that is watched."""

    async def test_every_change(self) -> None:
        self.watch()
        self.assertIsNone(await self.next(), "all may have changed before it was watched")
        one, two = self.root / "one.rts.png", self.root / "two.rts.png"
        changes: list[tuple[str, Callable[[], object], set[str]]] = [
            ("new", lambda: one.write_bytes(b"1"), {"one.rts.png"}),
            ("replaced in place", lambda: one.write_bytes(b"2"), {"one.rts.png"}),
            ("renamed", lambda: one.rename(two), {"one.rts.png", "two.rts.png"}),
            ("times", lambda: os.utime(two, (1, 1)), {"two.rts.png"}),
            ("permissions", lambda: two.chmod(0o600), {"two.rts.png"}),
            ("beside", lambda: (self.root / "two.part").write_bytes(b"3"), {"two.part"}),
            ("put in place", lambda: (self.root / "two.part").rename(two), {"two.part", "two.rts.png"}),
            ("a link", lambda: one.symlink_to("two.rts.png"), {"one.rts.png"}),
            ("deleted", one.unlink, {"one.rts.png"}),
            ("a folder of that name", one.mkdir, {"one.rts.png"}),
            (
                "a sidecar",
                (self.root / "two.rts.png.meta.json").touch,
                {"two.rts.png", "two.rts.png.meta.json"},
            ),
            ("of the other spelling", (self.root / "a.rts.meta.json").touch, {"a.rts.png", "a.rts.meta.json"}),
            (
                "a sidecar is deleted",
                (self.root / "two.rts.png.meta.json").unlink,
                {"two.rts.png", "two.rts.png.meta.json"},
            ),
        ]
        for what, change, names in changes:
            change()
            self.assertEqual(await self.next(), names, what)

    async def test_what_is_hidden_is_not_told(self) -> None:
        """As the names under which rsync writes."""
        self.watch()
        await self.next()
        (self.root / ".a.rts.png.Xy12").write_bytes(b"octets")
        (self.root / "seen").touch()
        self.assertEqual(await self.next(), {"seen"})

    async def test_a_name_that_cannot_be_told(self) -> None:
        self.watch()
        await self.next()
        os.mkdir(os.fsencode(self.root) + b"/\xff.rts.png")
        self.assertIsNone(await self.next())

    async def test_a_long_copy(self) -> None:
        """That it grows is told at once and then every second; its end, at once."""
        folder_watch = self.watch()
        await self.next()
        with open(self.root / "a.rts.png", "wb", buffering=0) as file:
            self.assertEqual(await self.next(), {"a.rts.png"})
            file.write(b"1")
            self.assertEqual(await self.next(), {"a.rts.png"})
            for _ in range(3):
                file.write(b"2")
                while not self.due():
                    await self.soon()
                self.clock.advance(COALESCE)
            self.assertEqual(self.told, [])
            await self.checked(folder_watch)
            self.assertEqual(await self.next(), {"a.rts.png"})
            file.write(b"3")
            self.assertEqual(await self.next(), {"a.rts.png"})
        self.assertEqual(await self.next(), {"a.rts.png"})

    async def test_many(self) -> None:
        """So many names that nobody wants to be told them one by one."""
        self.patch(watch, "MANY", 3)
        self.watch()
        await self.next()
        for name in "abc":
            (self.root / name).mkdir()
        self.assertEqual(await self.next(), {"a", "b", "c"})
        for name in "abcd":
            (self.root / name).rmdir() if name != "d" else (self.root / name).mkdir()
        self.assertIsNone(await self.next())

    async def test_several_folders(self) -> None:
        """One that is named twice is watched once."""
        other = Path(self.mktemp()).resolve()
        other.mkdir()
        folder_watch = self.watch(self.root, other, self.root)
        self.assertEqual(len(folder_watch._folders), 2)
        while not all(folder._events for folder in folder_watch._folders):
            await self.soon()
        self.assertIsNone(await self.next())
        (self.root / "a").mkdir()
        (other / "b").mkdir()
        self.assertEqual(await self.next(), {"a", "b"})

    async def test_everything_now_and_then(self) -> None:
        """Whatever went unnoticed."""
        folder_watch = self.watch()
        await self.next()
        while self.clock.seconds() < SAFETY + COALESCE:
            self.assertEqual(self.told, [])
            await self.checked(folder_watch)
        self.assertIsNone(await self.next())


class TestFolders(WatchCase):
    """A folder that is not what it was."""

    async def anew(self, folder_watch: FolderWatch, name: str = "new.rts.png") -> None:
        """By the next check the folder that is there now is watched, of which everything may be new."""
        await self.checked(folder_watch)
        while self.due():
            self.clock.advance(COALESCE)
        self.assertIn(None, self.told)
        self.told.clear()
        (self.root / name).mkdir()
        self.assertEqual(await self.next(), {name})

    async def test_not_there_and_made(self) -> None:
        self.root.rmdir()
        folder_watch = self.watch()
        self.assertIsNone(await self.next())
        for _ in range(3):
            await self.checked(folder_watch)
            self.assertIsNone(await self.next(), "what cannot be watched may have changed")
        self.root.mkdir()
        await self.anew(folder_watch)

    async def test_deleted(self) -> None:
        folder_watch = self.watch()
        await self.next()
        self.root.rmdir()
        self.assertIsNone(await self.next(), "that is told at once")
        self.root.mkdir()
        await self.anew(folder_watch)

    async def test_moved_away(self) -> None:
        """What happens in it from then on is not told."""
        folder_watch = self.watch()
        await self.next()
        aside = self.root.rename(self.mktemp())
        self.assertIsNone(await self.next())
        self.root.mkdir()
        await self.anew(folder_watch)
        (aside / "old.rts.png").mkdir()
        (self.root / "another.rts.png").mkdir()
        self.assertEqual(await self.next(), {"another.rts.png"})

    async def test_replaced_at_once(self) -> None:
        """By another, before the kernel's word of it was read."""
        folder_watch = self.watch()
        await self.next()
        self.root.rename(self.mktemp())
        self.root.mkdir()
        await self.until(None)
        while folder_watch._folders[0]._events is None:
            await self.soon()
        await self.until(None)
        (self.root / "a").mkdir()
        self.assertEqual(await self.next(), {"a"})

    async def test_a_link_that_is_turned(self) -> None:
        """Nothing happens to either folder, and yet the path leads to another."""
        first, second = self.root / "first", self.root / "second"
        first.mkdir()
        second.mkdir()
        self.root = self.root / "current"
        self.root.symlink_to("first")
        folder_watch = self.watch()
        await self.next()
        self.root.unlink()
        self.root.symlink_to("second")
        await self.anew(folder_watch)

    async def test_a_folder_above_is_renamed(self) -> None:
        above = self.root
        self.root = above / "inside"
        self.root.mkdir()
        folder_watch = self.watch()
        await self.next()
        above.rename(self.mktemp())
        self.root.mkdir(parents=True)
        await self.anew(folder_watch)

    async def test_no_folder(self) -> None:
        """Nor is a FIFO waited for."""
        for make in (self.root.touch, lambda: os.mkfifo(self.root)):
            self.root.rmdir() if self.root.is_dir() else self.root.unlink()
            make()
            folder_watch = self.watch()
            self.assertIsNone(await self.next())
            await folder_watch.stop()


class TestPolling(WatchCase):
    """Where the kernel does not tell, everything may have changed every second."""

    async def test_it_was_asked_for(self) -> None:
        await self.soon()
        before = os.listdir("/proc/self/fd")
        self.watch(poll=True)
        for _ in range(3):
            self.assertIsNone(await self.next())
            self.assertEqual(self.told, [])
            self.clock.advance(POLL)
        self.assertEqual(os.listdir("/proc/self/fd"), before, "nothing is watched")

    async def polls(self, *words: str) -> None:
        """It polls, and says once why."""
        with capturedLogs() as events:
            folder_watch = self.watch()
            for _ in range(3):
                self.assertIsNone(await self.next())
                await self.checked(folder_watch)
        said = [event["why"] for event in events if "why" in event]
        self.assertEqual(len(said), 1)
        for word in words:
            self.assertIn(word, said[0])
        await folder_watch.stop()
        self.told.clear()

    async def test_a_file_system_of_a_network(self) -> None:
        self.patch(watch, "file_system", lambda folder: "nfs4")
        await self.polls("file system of type nfs4")

    async def test_a_file_system_that_is_not_known(self) -> None:
        self.patch(watch, "file_system", lambda folder: "")
        await self.polls("file system of type unknown")

    async def test_limits(self) -> None:
        """When there is room again, it is watched again."""

        def refuse(*_: Any) -> int:
            raise _inotify.INotifyError

        add = _inotify.add
        self.patch(_inotify, "add", refuse)
        await self.polls("fs.inotify.max_user_watches")
        self.patch(_inotify, "add", add)
        folder_watch = self.watch()
        self.assertIsNone(await self.next())
        (self.root / "a").mkdir()
        await self.until(frozenset("a"))
        self.assertTrue(folder_watch._folders[0]._events)

    async def test_no_inotify(self) -> None:
        """As where Twisted finds no C library."""
        watch._events.cache_clear()
        self.addCleanup(watch._events.cache_clear)
        with patch.dict(sys.modules, {"pixelboot.library.folder.events": None}):
            await self.polls("no C library")


class TestStop(WatchCase):
    """Nothing is left."""

    async def test_nothing_is_left(self) -> None:
        await self.soon()  # the reactor runs
        before, readers = os.listdir("/proc/self/fd"), set(reactor.getReaders())
        folder_watch = self.watch()
        await self.next()
        self.assertNotEqual(os.listdir("/proc/self/fd"), before)
        (self.root / "a").mkdir()
        while not self.due():
            await self.soon()
        await folder_watch.stop()
        self.assertEqual(os.listdir("/proc/self/fd"), before)
        self.assertEqual(set(reactor.getReaders()), readers)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.told, [])

    async def test_while_a_thread_is_at_work(self) -> None:
        """What it brings is given back; and it can begin again."""
        await self.soon()
        before = os.listdir("/proc/self/fd")
        folder_watch = self.watch()
        await folder_watch.stop()
        self.assertEqual(os.listdir("/proc/self/fd"), before)
        self.assertEqual((self.clock.getDelayedCalls(), self.told), ([], []))
        folder_watch.start()
        self.assertIsNone(await self.next())
        (self.root / "a").mkdir()
        await self.until(frozenset("a"))

    async def test_before_it_began_and_twice(self) -> None:
        folder_watch = FolderWatch([str(self.root)], reactor, self.told.append, clock=self.clock)
        await folder_watch.stop()
        folder_watch.start()
        await folder_watch.stop()
        await folder_watch.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
