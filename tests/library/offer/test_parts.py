"""Tests of `pixelboot.library.offer.parts`, in a library over a real folder."""

from __future__ import annotations

import shutil

from twisted.internet.defer import Deferred

from pixelboot.library.offer.parts import RETRY
from pixelboot.library.sharing.shelf import IDLE
from tests.container.pictures import container
from tests.library.case import FolderCase

KERNEL, INITRD = b"kernel " * 9, b"initrd " * 20
GOOD = container({"kernel": KERNEL, "initrd": INITRD})


class TestParts(FolderCase):
    """A cache that is whole, and large enough."""

    async def test_a_broken_cache_is_rebuilt(self) -> None:
        self.put("a.rts.png", GOOD)
        await self.settle()
        kernel = next(self.cache.glob("parts/*/kernel"))
        for break_it in (kernel.unlink, lambda: kernel.write_bytes(b"x"), lambda: kernel.write_bytes(KERNEL[::-1])):
            await self.soon()
            self.clock.advance(IDLE)
            break_it()
            self.assertEqual(await self.octets(await self.library.part("a", "kernel")), KERNEL)
        self.assertEqual(self.lines(), [], "nobody needs to know")
        await self.soon()
        self.clock.advance(IDLE)
        self.patch(self.library._cache, "open_part", lambda *_: None)
        self.assertIn("does not keep", await self.refused(self.library.part("a", "kernel")))

    async def test_a_cache_that_is_deleted(self) -> None:
        """Whether a machine asks before the next look, or another picture comes first."""
        self.put("a.rts.png", GOOD)
        await self.settle()
        shutil.rmtree(self.cache)
        self.assertEqual(await self.octets(await self.library.part("a", "kernel")), KERNEL)
        shutil.rmtree(self.cache)
        self.put("b.rts.png", GOOD)
        await self.settle()
        self.assertEqual(self.states, {"a": "ready", "b": "ready"})
        self.assertEqual(await self.octets(await self.library.part("a", "initrd")), INITRD)

    async def test_no_descriptor_for_a_moment(self) -> None:
        self.put("a.rts.png", GOOD)
        await self.settle()

        def busy(*_: object) -> int:
            raise OSError(24, "Too many open files")

        patched = self.patch(self.library._cache, "open_part", busy)
        reason = "the kernel cannot be opened now: Too many open files"
        self.assertEqual(await self.refused(self.library.part("a", "kernel")), reason)
        patched.restore()
        self.assertEqual(self.states, {"a": "ready"})
        self.assertEqual(await self.octets(await self.library.part("a", "kernel")), KERNEL)
        await self.soon()
        self.assertEqual(self.library._parts.room._budget._holds, {}, "nothing is in use any more")

    async def test_whoever_asked_is_gone(self) -> None:
        """While the part was opened by a thread: it is closed again, and no longer in use."""
        self.put("a.rts.png", GOOD)
        await self.settle()
        asked = Deferred.fromCoroutine(self.library.part("a", "kernel"))
        self.assertTrue(self.library._parts.room._budget._holds)
        asked.cancel()
        self.failureResultOf(asked)
        await self.until(lambda: not self.library._parts.room._budget._holds)

    async def test_what_a_machine_waits_for_comes_first(self) -> None:
        names = [f"{letter}.rts.png" for letter in "abcdef"]
        for name in names:
            self.put(name, container({"kernel": name.encode()}))
        self.here.hold("verify", "decode")
        await self.look()
        await self.until(lambda: all(each.parts for each in self.library.containers))
        waiting = Deferred.fromCoroutine(self.library.part("f", "kernel"))
        await self.until(lambda: self.here.queue[:1] == ["f.rts.png"])
        self.here.hold()
        (await waiting).close()
        self.assertEqual(self.here.begun[6], ("decode", "f.rts.png"))
        await self.settle()
        self.assertEqual(sorted(name for task, name in self.here.begun if task != "examine"), names, "and each once")

    async def test_what_is_under_way_is_given_up(self) -> None:
        """When the picture is replaced or goes, and when the server stops; whoever waits is told at once."""
        path = self.put("a.rts.png", GOOD)
        self.put("b.rts.png", GOOD)
        self.here.hold("decode")
        await self.look()
        await self.until(lambda: len(self.here.queue) == 2 and self.here.now is None)
        waiting = [Deferred.fromCoroutine(self.library.part(name, "kernel")) for name in "ab"]
        path.unlink()
        await self.look()
        self.assertEqual(await self.refused(waiting[0]), "the container was removed")
        self.put("b.rts.png", container({"kernel": b"other"}))
        await self.look()
        self.assertEqual([self.library._parts.idle, self.states], [False, {"b": "decoding"}])
        stopped = self.library.stopService()
        self.assertEqual(await self.refused(waiting[1]), "the server is stopping")
        await stopped
        self.assertEqual((self.here.idle, self.library._parts.idle), (True, True))
        self.assertEqual([task for task, _ in self.here.begun], ["examine"] * 3)

    async def test_each_is_tried_again_in_its_time(self) -> None:
        self.here.problem = "out of memory"
        for name in "ab":
            self.put(f"{name}.rts.png", GOOD)
            await self.settle()
            self.clock.advance(RETRY / 2)
        self.here.begun.clear()
        self.clock.advance(RETRY / 2 + 0.5)
        await self.settle()
        self.assertEqual([name for _, name in self.here.begun], ["a.rts.png"])
        self.here.problem = None
        self.clock.advance(2 * RETRY)
        await self.settle()
        self.assertEqual(self.states, {"a": "ready", "b": "ready"})

    async def test_a_machine_need_not_wait_as_long_as_the_background(self) -> None:
        """However often it failed before."""
        self.here.problem = "out of memory"
        self.put("a.rts.png", GOOD)
        await self.settle()
        for _ in range(60):
            self.clock.advance(RETRY)
            await self.settle()
        self.assertLess(len(self.here.begun), 10)
        self.here.problem = None
        self.clock.advance(RETRY)
        self.assertEqual(await self.octets(await self.library.part("a", "kernel")), KERNEL)

    async def test_a_file_that_goes_before_it_was_read(self) -> None:
        """That is nothing to warn of; and one whose change nobody told is looked at."""
        self.put("a.rts.png", GOOD)
        self.here.hold("decode")
        await self.look()
        await self.until(lambda: self.here.queue)
        self.lines()
        (self.root / "a.rts.png").unlink()
        self.here.hold()
        self.assertEqual(await self.settle(), ["a.rts.png is gone"])

    async def test_a_mistake_of_ours(self) -> None:
        """Nobody waits for ever because of it, and the log has it."""
        await self.settle()
        patched = self.patch(self.library._cache, "has_room", lambda size: 1 // 0)
        self.put("a.rts.png", GOOD)
        await self.settle()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIn("the server failed to have it decoded", await self.refused(self.library.part("a", "kernel")))
        patched.restore()
        self.clock.advance(RETRY)
        await self.settle()
        self.assertEqual(self.states, {"a": "ready"})
