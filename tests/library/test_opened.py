"""Tests of `pixelboot.library.library`: what is open already is had without waiting, as long as it may be."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

from twisted.internet.defer import Deferred, gatherResults

from pixelboot.library import library
from pixelboot.library.folder.look import Unreadable, open_picture
from pixelboot.library.sharing.shelf import IDLE
from pixelboot.payload import Payload
from tests.container.pictures import container, header, picture
from tests.library.case import FolderCase

KERNEL, INITRD = b"kernel " * 9, b"initrd " * 20
GOOD = container({"kernel": KERNEL, "initrd": INITRD}, name="Demo")
OTHER = container({"vmlinuz": b"other kernel"})
GREY = picture([header(1, colour=0)], b"\0\0")


class OpenedCase(FolderCase):
    """A library with one container, ``a``."""

    async def begin(self, **more: bytes) -> None:
        """It, and `more`, are ready."""
        for name, octets in {"a": GOOD, **more}.items():
            self.put(f"{name}.rts.png", octets)
        await self.settle()

    async def part(self, id: str = "a", name: str = "kernel") -> Payload:  # noqa: A002
        """Given to everybody who asked."""
        payload = await self.library.part(id, name)
        await self.soon()
        return payload

    async def picture(self, name: str = "a.rts.png") -> Payload:
        """Given to everybody who asked."""
        payload = await self.library.picture(name)
        await self.soon()
        return payload

    def at_hand(self, id: str = "a", name: str = "kernel") -> bytes | None:  # noqa: A002
        """What is in that part, if it is at hand."""
        return self.read(self.library.part_at_hand(id, name))

    def picture_at_hand(self, name: str = "a.rts.png") -> bytes | None:
        """What is in that picture, if it is at hand."""
        return self.read(self.library.picture_at_hand(name))

    def read(self, payload: Payload | None) -> bytes | None:
        if payload is None:
            return None
        octets = payload.read(0, payload.size)
        payload.verify()
        self.assertEqual(payload.known_etag, f'"{hashlib.sha256(octets).hexdigest()}"')
        payload.close()
        return octets

    def descriptors(self) -> int:
        """How many of the folder and the cache are open."""
        links = (f"/proc/self/fd/{each}" for each in os.listdir("/proc/self/fd"))
        open_ = [os.readlink(link) for link in links if os.path.islink(link)]
        return sum(path.startswith((f"{self.root}/", f"{self.cache}/parts/")) for path in open_)


class PartTests(OpenedCase):
    """Decoded parts."""

    async def test_at_hand(self) -> None:
        """While they are open; for many they are opened once."""
        await self.begin()
        self.assertIsNone(self.at_hand())
        payloads = await gatherResults([Deferred.fromCoroutine(self.part()) for _ in range(20)])
        self.assertEqual((self.descriptors(), len({id(each.origin) for each in payloads})), (1, 1))
        self.assertEqual({each.read(0, 99) for each in payloads}, {KERNEL})
        self.assertEqual(
            [(each.is_final, each.media_type) for each in payloads[:1]], [(True, "application/octet-stream")]
        )
        self.assertEqual((self.at_hand(), self.at_hand(name="initrd"), self.at_hand("b")), (KERNEL, None, None))
        for each in payloads:
            each.close()
        self.assertEqual((self.at_hand(), self.descriptors()), (KERNEL, 1))
        self.clock.advance(IDLE)
        self.assertEqual((self.at_hand(), self.descriptors()), (None, 0))

    async def test_of_the_same_octets(self) -> None:
        """Two pictures that are the same share the parts in the cache, but each has its own time."""
        await self.begin(b=GOOD)
        os.utime(self.root / "b.rts.png", (1, 1))
        await self.settle()
        first, second = await self.part("a"), await self.part("b")
        self.assertNotEqual(first.modified_at, second.modified_at)
        self.assertEqual((second.modified_at, self.at_hand("a"), self.at_hand("b")), (1.0, KERNEL, KERNEL))
        for each in (first, second):
            each.close()

    async def test_not_offered_any_more(self) -> None:
        """Replaced, damaged, untrusted, removed."""
        await self.begin()
        used = await self.part()
        self.put("a.rts.png", OTHER)
        await self.settle()
        self.assertIsNone(self.at_hand())
        (await self.part()).close()
        self.assertEqual(self.at_hand(), b"other kernel")
        self.put("a.rts.png", GREY)
        await self.settle()
        self.assertIsNone(self.at_hand())
        self.put("a.rts.png", GOOD)
        await self.settle()
        (await self.part()).close()
        self.assertEqual(self.at_hand(), KERNEL)
        entry = self.library._entries.identified("a")
        assert entry is not None
        entry._trusted = frozenset(["ab" * 32])
        self.assertTrue(entry.learn(entry.finding))
        self.library._entries.show(entry)
        self.assertEqual((self.states, self.at_hand()), ({"a": "untrusted"}, None))
        (self.root / "a.rts.png").unlink()
        await self.settle()
        self.assertIsNone(self.at_hand())
        self.assertEqual(used.read(0, 99), KERNEL, "who has it, has it")
        used.close()

    async def test_written_into(self) -> None:
        """Nobody should; it is decoded again."""
        await self.begin()
        (await self.part()).close()
        next(self.cache.glob("parts/*/kernel")).write_bytes(KERNEL[::-1])
        self.assertIsNone(self.at_hand())
        self.assertEqual(await self.octets(await self.part()), KERNEL)

    async def test_stopped(self) -> None:
        """Nothing stays open."""
        await self.begin()
        (await self.part()).close()
        (await self.picture()).close()
        self.assertEqual(self.descriptors(), 2)
        await self.stop()
        self.assertEqual((self.descriptors(), self.at_hand(), self.picture_at_hand()), (0, None, None))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_digests(self) -> None:
        """Of what is verified, and is offered."""
        await self.begin(b=GREY)
        expected = {
            name: hashlib.sha256(octets).hexdigest() for name, octets in (("kernel", KERNEL), ("initrd", INITRD))
        }
        self.assertEqual(self.library.part_digests("a"), expected)
        self.assertEqual((self.library.part_digests("b"), self.library.part_digests("c")), ({}, {}))
        for name, octets in (("a.rts.png", GOOD), ("b.rts.png", GREY)):
            self.assertEqual(self.library.picture_digest(name), hashlib.sha256(octets).hexdigest())
        self.here.hold("examine", "verify", "decode")
        self.put("c.rts.png", OTHER)
        await self.look()
        self.assertEqual((self.library.part_digests("c"), self.library.picture_digest("c.rts.png")), ({}, None))
        self.assertIsNone(self.library.picture_digest("d.rts.png"))


class EvictedTests(OpenedCase):
    """A cache with room for one."""

    async def test_evicted(self) -> None:
        """What lies idle takes no room: it goes when another needs it, at once."""
        first, second = (container({"kernel": fill * 60000}, 128) for fill in (b"1", b"2"))
        await self.restart(limit=70000)
        await self.begin(a=first, b=second)
        begun = [name[0] for task, name in self.here.begun if task == "decode"]
        (left,) = {"a", "b"} - set(begun)
        (await self.part(begun[0])).close()
        self.assertEqual((self.descriptors(), self.library._parts.room._budget._holds), (1, {}))
        used = await self.part(left)
        self.assertEqual((self.at_hand(begun[0]), self.descriptors(), self.kept), (None, 1, 1))
        waiting = Deferred.fromCoroutine(self.part(begun[0]))
        await self.look()
        self.assertNoResult(waiting)
        self.assertIsNotNone(self.at_hand(left))
        used.close()
        (await waiting).close()
        self.assertEqual((self.at_hand(left), self.descriptors(), self.kept), (None, 1, 1))


class PictureTests(OpenedCase):
    """Pictures as they are."""

    async def test_at_hand(self) -> None:
        """While they are open; for many they are opened once."""
        await self.begin(b=GREY)
        self.assertIsNone(self.picture_at_hand())
        payloads = await gatherResults([Deferred.fromCoroutine(self.picture()) for _ in range(20)])
        self.assertEqual((self.descriptors(), {each.read(0, 9999) for each in payloads}), (1, {GOOD}))
        self.assertEqual((payloads[0].is_final, payloads[0].media_type), (False, "image/png"))
        (await self.picture("b.rts.png")).close()
        self.assertEqual((self.picture_at_hand(), self.picture_at_hand("b.rts.png")), (GOOD, GREY))
        self.assertEqual((self.picture_at_hand("c.rts.png"), self.picture_at_hand("../a.rts.png")), (None, None))
        for each in payloads:
            each.close()
        self.clock.advance(IDLE)
        self.assertEqual((self.picture_at_hand(), self.descriptors()), (None, 0))

    async def test_not_the_same_any_more(self) -> None:
        """Replaced, written into, deleted: also while nobody has told us of it."""

        def replace(path: Path) -> None:
            self.put(path.name, OTHER)

        def write(path: Path) -> None:
            with path.open("r+b") as file:
                file.write(OTHER)

        for change in (replace, write, Path.unlink, lambda path: path.chmod(0o600)):
            await self.begin()
            (await self.picture()).close()
            self.assertEqual(self.picture_at_hand(), GOOD)
            change(self.root / "a.rts.png")
            self.assertIsNone(self.picture_at_hand())
            self.assertEqual(self.descriptors(), 0, "nobody needs it any more")
            await self.refused(self.library.picture("a.rts.png"))
            await self.settle()
            (self.root / "a.rts.png").unlink(missing_ok=True)
            await self.settle()

    async def test_links(self) -> None:
        """What a link means is at hand under the link's name, until that leads elsewhere."""
        await self.begin(b=OTHER)
        (self.root / "current.rts.png").symlink_to("a.rts.png")
        await self.settle()
        (await self.picture("current.rts.png")).close()
        self.assertEqual(self.picture_at_hand("current.rts.png"), GOOD)
        (self.root / "new").symlink_to("b.rts.png")
        (self.root / "new").rename(self.root / "current.rts.png")
        self.assertIsNone(self.picture_at_hand("current.rts.png"))
        await self.settle()
        self.assertEqual(await self.octets(await self.picture("current.rts.png")), OTHER)

    async def test_no_descriptor_left(self) -> None:
        """What nobody uses makes room."""
        await self.begin(b=OTHER)
        (await self.part()).close()
        failed: list[bool] = []

        def short(root: str, file_name: str) -> int:
            if not failed:
                failed.append(True)
                raise Unreadable("the file cannot be opened") from OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return open_picture(root, file_name)

        self.patch(library, "open_picture", short)
        self.assertEqual(await self.octets(await self.picture("b.rts.png")), OTHER)
        self.assertEqual((failed, self.at_hand()), ([True], None))
