"""Tests of `pixelboot.library.tree`: the files that TFTP and HTTP share."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import Clock, deferLater
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase

from pixelboot.library import tree as module
from pixelboot.library.file import FilePayload
from pixelboot.library.names.meant import Names
from pixelboot.library.sharing import digests, once
from pixelboot.library.tree import Absent, Forbidden, Tree, media_type
from pixelboot.payload import Payload

reactor: Any = installed
GONE = "there is no such file"


class MediaTypeTests(SynchronousTestCase):
    """H29."""

    def test_table(self) -> None:
        for name, expected in (
            ("snponly.efi", "application/efi"),
            ("BOOTX64.EFI", "application/efi"),
            ("debian.iso", "application/vnd.efi-iso"),
            ("disk.img", "application/vnd.efi-img"),
            ("autoexec.ipxe", "text/plain"),
            ("grub.cfg", "text/plain"),
            ("undionly.kpxe", "application/octet-stream"),
            ("vmlinuz", "application/octet-stream"),
            ("efi", "application/efi"),
            ("a.efi.gz", "application/octet-stream"),
        ):
            self.assertEqual(media_type(name), expected, name)


class TreeCase(TestCase):
    """A folder, and packaged loaders behind it."""

    timeout = 20

    def setUp(self) -> None:
        folder = Path(self.mktemp()).resolve()
        self.root, self.system = folder / "root", folder / "system"
        self.root.mkdir(parents=True)
        self.system.mkdir()
        (folder / "secret").write_bytes(b"secret")
        (self.root / "x.efi").write_bytes(b"the octets")
        self.clock = Clock()
        self.later = 100.0
        packaged = {
            "undionly.kpxe": (str(self.system / "none"), str(self.system / "undionly.kpxe")),
            "ipxe.efi": (str(self.system / "ipxe.efi"),),
            "snponly.efi": (str(self.system / "odd"),),
        }
        self.packaged = packaged
        self.tree = self.make(str(self.root))

    def make(self, root: str) -> Tree:
        return Tree(root, reactor, clock=self.clock, wall=lambda: time.time() + self.later, packaged=self.packaged)

    async def octets(self, name: str) -> bytes:
        payload = await self.tree.open(name)
        octets = payload.read(0, payload.size)
        payload.close()
        return octets

    async def refused(self, name: str) -> str:
        """Why there is nothing, and that the other way of asking agrees."""
        self.assertFalse(await self.tree.holds(name), name)
        try:
            payload = await self.tree.open(name)
        except (Absent, Forbidden) as error:
            return f"{type(error).__name__}: {error}"
        payload.close()
        return self.fail(f"{name} is there")

    def refuse(self, number: int) -> Callable[[], None]:
        """From now on, until the result is called, the system opens no file that is there."""
        opened = os.open

        def refused(path: str, flags: int, *, dir_fd: int | None = None) -> int:
            descriptor = opened(path, flags, dir_fd=dir_fd)
            if flags & os.O_PATH:
                return descriptor
            os.close(descriptor)
            raise OSError(number, os.strerror(number))

        allow: Callable[[], None] = self.patch(os, "open", refused).restore
        return allow


class OpenTests(TreeCase):
    """Files."""

    async def test_a_file(self) -> None:
        payload = await self.tree.open("/x.efi")
        self.addCleanup(payload.close)
        self.assertEqual((payload.size, payload.media_type), (10, "application/efi"))
        self.assertEqual(payload.modified_at, (self.root / "x.efi").stat().st_mtime_ns / 1e9)
        self.assertEqual(payload.read(4, 99), b"octets")
        self.assertEqual(await payload.etag(), f'"{hashlib.sha256(b"the octets").hexdigest()}"')
        self.assertTrue(await self.tree.holds("//x.efi"))

    async def test_nothing_to_serve(self) -> None:
        (self.root / "folder").mkdir()
        os.mkfifo(self.root / "fifo")
        (self.root / "out").symlink_to("../secret")
        (self.root / "zero").symlink_to("/dev/zero")
        for name, reason in (
            ("y", f"Absent: {GONE}"),
            ("folder", "Forbidden: it is a folder"),
            ("fifo", "Forbidden: it is not a regular file"),
            ("out", "Outside: it is a link that leads out of the folder"),
            ("zero", "Outside: it is a link that leads out of the folder"),
            ("../secret", "Forbidden: the name leads out of the folder"),
            ("a\0b", "Forbidden: the name has control characters"),
            ("\ud800", "Forbidden: no file can have such a name"),
            ("x" * 5000, "Forbidden: the name is too long"),
        ):
            self.assertEqual(await self.refused(name), reason, name[:20])

    async def test_packaged(self) -> None:
        """They are found behind the folder, also through links; a file of the operator's own comes first."""
        (self.system / "undionly.kpxe").write_bytes(b"packaged")
        (self.system / "elsewhere").write_bytes(b"elsewhere")
        (self.system / "ipxe.efi").symlink_to(self.system / "elsewhere")
        os.mkfifo(self.system / "odd")
        for root in ("", str(self.root)):
            self.tree = self.make(root)
            self.assertEqual(await self.octets("/undionly.kpxe"), b"packaged", root)
            self.assertEqual(await self.octets("ipxe.efi"), b"elsewhere", root)
            self.assertTrue(await self.tree.holds("ipxe.efi"), root)
            self.assertEqual(await self.refused("a/undionly.kpxe"), f"Absent: {GONE}", root)
            self.assertEqual(await self.refused("snponly.efi"), "Forbidden: it is not a regular file", root)
        (self.root / "undionly.kpxe").write_bytes(b"own")
        self.assertEqual(await self.octets("undionly.kpxe"), b"own")
        (self.root / "ipxe.efi").symlink_to("../secret")
        self.clock.advance(10)
        self.assertIn("leads out", await self.refused("ipxe.efi"), "not silently another one")

    async def test_a_link_to_a_packaged_one(self) -> None:
        """It works, under whatever name; it is the packaged path that is opened, not the link."""
        (self.system / "undionly.kpxe").write_bytes(b"packaged")
        (self.root / "mine.kpxe").symlink_to(self.system / "undionly.kpxe")
        self.assertEqual(await self.octets("mine.kpxe"), b"packaged")
        self.assertTrue(await self.tree.holds("mine.kpxe"))
        (self.system / "beside").write_bytes(b"no loader")
        (self.root / "other.kpxe").symlink_to(self.system / "beside")
        (self.root / "none.kpxe").symlink_to(self.system / "none")
        for name in ("other.kpxe", "none.kpxe"):
            self.assertIn("leads out", await self.refused(name))

    async def test_a_packaged_one_that_may_not_be_read(self) -> None:
        """It is refused, by its own name and by that of a link to it."""
        (self.system / "undionly.kpxe").write_bytes(b"packaged")
        (self.root / "mine.kpxe").symlink_to(self.system / "undionly.kpxe")
        self.refuse(errno.EACCES)
        for name in ("undionly.kpxe", "mine.kpxe"):
            reason = f"Forbidden: {self.system}/undionly.kpxe cannot be opened: Permission denied"
            self.assertEqual(await self.refused(name), reason)

    async def test_a_bad_moment(self) -> None:
        """Then nothing is known of a file, and no other takes its place; a little later it is there."""
        (self.root / "ipxe.efi").write_bytes(b"own")
        for name in ("none", "undionly.kpxe"):  # The first of two candidates fails.
            (self.system / name).write_bytes(b"packaged")
        (self.root / "mine.kpxe").symlink_to(self.system / "undionly.kpxe")
        for name in ("ipxe.efi", "undionly.kpxe", "mine.kpxe"):
            for number in (errno.EMFILE, errno.EIO):
                allow = self.refuse(number)
                asking: Deferred[Any] = Deferred.fromCoroutine(self.tree.open(name))
                error = await self.assertFailure(asking, OSError)
                self.assertEqual(error.errno, number, name)
                allow()
            self.assertIn(await self.octets(name), (b"own", b"packaged"))

    async def test_no_descriptor_is_left(self) -> None:
        """An open file that cannot be made a payload is closed."""

        def fail(*_: object) -> FilePayload:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

        await self.refused("none")  # Threads, and what else stays open.
        before = len(os.listdir("/proc/self/fd"))
        (self.root / "y").write_bytes(b"")
        self.patch(module, "FilePayload", fail)
        await self.assertFailure(Deferred.fromCoroutine(self.tree.open("y")), OSError)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    async def test_what_was_looked_for(self) -> None:
        """Who misses a file is told its names: what rules and folders of machines make of his."""
        self.tree = Tree(str(self.root), reactor, names=Names(rules=["r ^old/ 1a2b3c4d/"], machine_folders=["serial"]))
        (self.root / "1a2b3c4d" / "d").mkdir(parents=True)
        for name, kind, looked_for in (
            ("old/y", Absent, ("1a2b3c4d/y", "y")),
            ("old/y", Absent, ("1a2b3c4d/y", "y")),  # remembered
            ("/none", Absent, ("none",)),
            ("old/d", Forbidden, ("1a2b3c4d/d", "d")),
        ):
            with self.assertRaises(kind) as caught:
                await self.tree.open(name)
            self.assertEqual(caught.exception.looked_for, looked_for, name)
        with self.assertRaises(Absent) as at_hand:
            self.tree.at_hand("/none")
        self.assertEqual(at_hand.exception.looked_for, ("none",))

    async def test_how_to_get_it(self) -> None:
        """Who misses a loader is told where it comes from."""
        self.assertRegex(await self.refused("ipxe.efi"), "^Absent: there is no such file; install the package ipxe ")
        (self.system / "ipxe.efi").symlink_to("ipxe.efi")
        self.clock.advance(10)
        reason = f"Forbidden: {self.system}/ipxe.efi cannot be opened: Too many levels of symbolic links"
        self.assertEqual(await self.refused("ipxe.efi"), reason)

    async def test_a_folder_that_is_gone(self) -> None:
        """Machines do not get another loader because a disk is not there."""
        (self.system / "undionly.kpxe").write_bytes(b"packaged")
        self.tree = self.make(str(self.root / "none"))
        self.assertIn("none cannot be opened: No such file or directory", await self.refused("undionly.kpxe"))

    async def test_nobody_waits_any_more(self) -> None:
        """The file is closed that a client which has gone was to get."""
        closed_it: Deferred[FilePayload] = Deferred()
        close = FilePayload.close

        def closed(payload: FilePayload) -> None:
            close(payload)
            reactor.callLater(0, closed_it.callback, payload)

        self.patch(FilePayload, "close", closed)
        asking = Deferred.fromCoroutine(self.tree.open("x.efi"))
        asking.cancel()
        await self.assertFailure(asking, CancelledError)
        self.assertIsNone((await closed_it).fileno())


class HoldsTests(TreeCase):
    """Whether there is a file."""

    async def test_remembered(self) -> None:
        self.assertFalse(await self.tree.holds("y"))
        (self.root / "y").write_bytes(b"")
        self.clock.advance(module.HOLDS_TIME - 0.1)
        self.assertFalse(await self.tree.holds("/y"), "for some seconds")
        self.clock.advance(0.1)
        self.assertTrue(await self.tree.holds("y"))
        (self.root / "y").unlink()
        self.assertTrue(await self.tree.holds("y"))
        self.clock.advance(module.HOLDS_TIME)
        self.assertFalse(await self.tree.holds("y"))

    async def test_a_bad_moment(self) -> None:
        """What cannot be found out is as it was, or no; it is asked again each time, and told once."""
        self.assertTrue(await self.tree.holds("x.efi"))
        (self.root / "y").write_bytes(b"")
        for _ in range(2):
            self.clock.advance(module.HOLDS_TIME)
            allow = self.refuse(errno.EMFILE)
            with capturedLogs() as events:
                held = [await self.tree.holds(name) for name in ("x.efi", "x.efi", "y")]
            allow()
            self.assertEqual(held, [True, True, False])
            lines = [formatEvent(event) for event in events if event["log_namespace"] == "pixelboot.library"]
            self.assertEqual(lines, ["files cannot be looked for now: Too many open files"])
            self.assertTrue(await self.tree.holds("y"), "it is not remembered that it could not be seen")
            self.tree = self.make(str(self.root))
            self.assertTrue(await self.tree.holds("x.efi"))

    async def test_shared(self) -> None:
        """Many who ask at once make one look, and one who goes away leaves the others theirs."""
        looks = []
        find = self.tree._finder.find

        def counted(*what: Any) -> int:
            looks.append(threading.current_thread() is threading.main_thread())
            return find(*what)

        self.patch(self.tree._finder, "find", counted)
        asking = [Deferred.fromCoroutine(self.tree.holds("x.efi")) for _ in range(20)]
        asking[3].cancel()
        await self.assertFailure(asking.pop(3), CancelledError)
        self.assertEqual(await gatherResults(asking), [True] * 19)
        self.assertEqual(looks, [False], "once, and not in the reactor's thread")

    async def test_bounded(self) -> None:
        self.patch(once, "REMEMBERED", 3)
        for number in range(10):
            await self.tree.holds(f"none-{number}")
        self.assertEqual(list(self.tree._held._known), [((f"none-{number}",),) for number in (7, 8, 9)])


class EtagTests(TreeCase):
    """Strong entity tags, made when somebody wants one."""

    async def etag(self) -> str | None:
        payload = await self.tree.open("x.efi")
        self.addCleanup(payload.close)
        return await payload.etag()

    async def problem(self, payload: Payload) -> int | None:
        """The number of the error that there is in place of an entity tag."""
        try:
            tag = await payload.etag()
        except OSError as error:
            return error.errno
        return self.fail(f"it is {tag}")

    def count(self) -> list[int]:
        """From now on, the sizes of what is hashed."""
        sizes: list[int] = []
        digest = digests.digest

        def counted(descriptor: int, stamp: Any) -> str:
            sizes.append(stamp.size)
            return digest(descriptor, stamp)

        self.patch(digests, "digest", counted)
        return sizes

    async def test_once(self) -> None:
        """Many machines at once, or one after the other, cost one hash; another file costs another one."""
        sizes = self.count()
        payloads = [await self.tree.open("x.efi") for _ in range(5)]
        self.assertEqual(sizes, [], "nobody has asked")
        asking = [Deferred.fromCoroutine(payload.etag()) for payload in payloads]
        for payload in payloads[1:]:
            payload.close()
        self.assertEqual(len(set(await gatherResults(asking))), 1)
        payloads[0].close()
        self.assertEqual(await self.etag(), await self.etag())
        self.assertEqual(sizes, [10])
        (self.root / "new").write_bytes(b"other octets")
        (self.root / "new").rename(self.root / "x.efi")
        self.assertEqual(await self.etag(), f'"{hashlib.sha256(b"other octets").hexdigest()}"')
        self.assertEqual(sizes, [10, 12])

    async def test_not_settled(self) -> None:
        """A file may change again within the tick of its clock: the digest of a fresh one is not remembered."""
        sizes = self.count()
        self.later = 0.0
        await self.etag()
        await self.etag()
        self.assertEqual(sizes, [10, 10])

    async def test_changed_meanwhile(self) -> None:
        """Octets that are no longer those that were opened have no tag; nothing is remembered of them."""
        payload = await self.tree.open("x.efi")
        self.addCleanup(payload.close)
        (self.root / "x.efi").write_bytes(b"THE OCTETS ARE OTHERS")
        self.assertEqual(await self.problem(payload), errno.ESTALE)
        self.assertEqual(await self.etag(), f'"{hashlib.sha256(b"THE OCTETS ARE OTHERS").hexdigest()}"')

    async def test_closed(self) -> None:
        """The descriptor of a payload that is closed may be somebody else's by now."""
        payload = await self.tree.open("x.efi")
        payload.close()
        self.assertEqual(await self.problem(payload), errno.EBADF)

    async def test_a_large_file(self) -> None:
        """A machine does not wait for the digest of a disk image; who comes later is told it."""
        self.patch(digests, "AWAITED", 9)
        self.patch(digests, "WORTH_KEEPING", 9)
        self.tree.startService()
        self.addCleanup(self.tree.stopService)
        payload = await self.tree.open("x.efi")
        self.addCleanup(payload.close)
        self.assertEqual((payload.known_etag, await payload.etag()), (None, None))
        while payload.known_etag is None:
            await deferLater(reactor, 0.001)
        self.assertEqual(await self.etag(), f'"{hashlib.sha256(b"the octets").hexdigest()}"')
        (self.root / "x.efi").write_bytes(b"THE OCTETS")
        self.assertIsNone(await self.etag())
