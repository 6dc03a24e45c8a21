"""Tests of `pixelboot.library.offer.room`, in a library over a real folder."""

from __future__ import annotations

from functools import cache

from twisted.internet.defer import Deferred, DeferredList

from pixelboot.library.decoding import work
from pixelboot.library.folder.watch import COALESCE
from pixelboot.library.offer.room import ROOM_PATIENCE
from pixelboot.library.outcomes import PartsEvicted
from tests.container.pictures import container
from tests.library.case import FolderCase

KERNEL, INITRD = b"kernel " * 9, b"initrd " * 20
GOOD = container({"kernel": KERNEL, "initrd": INITRD})
LEFT = 4096
"""More than the cache keeps of a container besides its parts."""


@cache
def large(fill: bytes, size: int = 60000) -> bytes:
    """A container with a kernel of `size` octets."""
    return container({"kernel": fill * size}, 128)


class TestRoom(FolderCase):
    """A cache in which there is room for two."""

    limit = 2 * 60000 + 2 * LEFT

    async def begin(self, **more: bytes) -> list[str]:
        """Start anew, with these pictures."""
        await self.restart(limit=self.limit)
        for name, octets in more.items():
            self.put(f"{name}.rts.png", octets)
        return await self.settle()

    async def use(self, name: str) -> None:
        (await self.library.part(name, "kernel")).close()

    async def test_no_room_for_all(self) -> None:
        """Then the rest is verified, and decoded when somebody asks, in place of what was used the longest ago."""
        await self.begin(**{name: large(name.encode()) for name in "abcd"})
        self.assertEqual(self.states, dict.fromkeys("abcd", "ready"))
        tasks = sorted(self.here.begun)[:4]
        self.assertEqual([task for task, _ in tasks], ["decode", "decode", "examine", "examine"])
        self.assertEqual(self.kept, 2)
        kept = [name[0] for _, name in tasks[:2]]
        left = sorted(set("abcd") - set(kept))
        self.later += 1
        await self.use(kept[0])
        self.outcomes.clear()
        self.later += 1
        self.assertEqual(await self.octets(await self.library.part(left[0], "kernel")), left[0].encode() * 60000)
        (evicted,) = self.outcomes
        assert isinstance(evicted, PartsEvicted)
        self.assertEqual((evicted.pictures, evicted.size), (1, 60000))
        self.assertEqual(self.kept, 2)
        begun = len(self.here.begun)
        await self.use(kept[0])
        self.assertEqual(len(self.here.begun), begun, "it was used later than the other")
        await self.restart(limit=self.limit)
        await self.settle()
        self.assertEqual((self.here.begun, self.kept), ([], 2), "nothing is decoded for lack of other work")
        await self.use(kept[0])
        self.assertEqual(self.here.begun, [], "what is there after a restart is known")

    async def test_what_is_in_use_is_not_evicted(self) -> None:
        await self.begin(a=large(b"a"), b=large(b"b"), c=large(b"c"))
        kept = [name[0] for task, name in self.here.begun if task == "decode"]
        (left,) = set("abc") - set(kept)
        payloads = [await self.library.part(name, "kernel") for name in kept]
        reason = await self.refused_in_the_end(left)
        self.assertIn("there is no room for its 60.0 kB of parts beside those in use", reason)
        self.assertIn(f"containers.cache_size, which is {self.limit}", reason)
        (line,) = self.lines()
        self.assertIn(f"{left}.rts.png cannot be decoded now, later again: there is no room", line)
        self.assertEqual(self.states[left], "ready")
        self.assertIn("no room", await self.refused_in_the_end(left))
        self.assertEqual(self.lines(), [], "once")
        for payload, name in zip(payloads, kept, strict=True):
            self.assertEqual(payload.read(0, 9), name.encode() * 9)
        payloads[0].close()
        payloads[0].close()
        await self.use(left)
        payloads[1].close()
        await self.soon()
        self.assertEqual(self.library._parts.room._budget._holds, {})
        self.assertEqual(len(self.lines()), 1, "it is ready after all")

    async def refused_in_the_end(self, name: str) -> str:
        """Why a machine gets no kernel that waits for it as long as may be."""
        waiting = Deferred.fromCoroutine(self.library.part(name, "kernel"))
        await self.look()
        self.assertNoResult(waiting)
        self.clock.advance(ROOM_PATIENCE)
        return await self.refused(waiting)

    async def test_room_is_waited_for(self) -> None:
        """While others are sent their parts; each gets its turn, and nobody who is gone."""
        await self.begin(**{name: large(name.encode()) for name in "abcdef"})
        kept = [name[0] for task, name in self.here.begun if task == "decode"]
        left = sorted(set("abcdef") - set(kept))
        payloads = [await self.library.part(name, "kernel") for name in kept]
        waiting = {name: Deferred.fromCoroutine(self.library.part(name, "kernel")) for name in left}
        await self.settled_but(len(left))
        for each in waiting.values():
            self.assertNoResult(each)
        waiting[left[1]].cancel()
        self.failureResultOf(waiting.pop(left[1]))
        self.here.begun.clear()
        for payload in payloads:
            payload.close()
        for name, each in waiting.items():
            self.assertEqual(await self.octets(await each), name.encode() * 60000)
        self.assertEqual(sorted(name[0] for _, name in self.here.begun), list(waiting))
        self.assertEqual([line for line in self.lines() if "cannot" in line], [])

    async def test_the_server_stops_while_there_is_no_room(self) -> None:
        await self.begin(**{name: large(name.encode()) for name in "abcd"})
        kept = [name[0] for task, name in self.here.begun if task == "decode"]
        payloads = [await self.library.part(name, "kernel") for name in kept]
        waiting = [Deferred.fromCoroutine(self.library.part(n, "kernel")) for n in sorted(set("abcd") - set(kept))]
        await self.settled_but(len(waiting))
        await self.stop()
        for each in waiting:
            self.assertEqual(await self.refused(each), "the server is stopping")
        for payload in payloads:
            payload.close()
        self.assertEqual((self.library._parts.room._crowded, self.library._parts.room._freed), ({}, []))

    async def test_what_was_decoded_for_a_machine_is_sent_to_it(self) -> None:
        """Many more machines than there is room for, each of which wants another one."""
        names = "abcdefgh"
        await self.begin(**{name: large(name.encode()) for name in names})
        self.here.begun.clear()
        self.here.hold("decode")
        waiting = {name: Deferred.fromCoroutine(self.library.part(name, "kernel")) for name in names}
        self.here.hold()
        for name, each in waiting.items():
            each.addCallback(lambda payload: Deferred.fromCoroutine(self.octets(payload)))
            each.addCallback(self.assertEqual, name.encode() * 60000)
        await DeferredList(list(waiting.values()), fireOnOneErrback=True)
        self.assertLessEqual(len(self.here.begun), len(names), "nothing is decoded twice")

    async def settled_but(self, waiting: int) -> None:
        """Wait until nothing is under way but machines that wait for room."""
        await self.until(lambda: len(self.library._parts.room._crowded) == waiting and self.here.idle)

    async def test_larger_than_the_cache(self) -> None:
        """It is verified, and listed, and never decoded."""
        await self.begin(a=container({"kernel": b"x" * 200000}, 256), b=large(b"b"))
        self.assertEqual(self.states, {"a": "ready", "b": "ready"})
        self.assertIn("containers.cache_size", await self.refused(self.library.part("a", "kernel")))
        self.assertEqual(self.kept, 1, "nothing is evicted in vain")
        self.assertIn(("verify", "a.rts.png"), self.here.begun)

    async def test_a_full_disk(self) -> None:
        """Nothing is decoded in the background; what a machine waits for takes the place of others."""
        free = [True]
        await self.begin(a=large(b"a"))
        self.patch(self.library._cache, "has_room", lambda size: size == 0 or bool(free and free.pop()))
        free.clear()
        self.put("b.rts.png", large(b"b"))
        await self.settle()
        self.assertEqual(self.states, {"a": "ready", "b": "ready"})
        self.assertIn(("verify", "b.rts.png"), self.here.begun)
        free[:] = [True, False]
        self.assertEqual(await self.octets(await self.library.part("b", "kernel")), b"b" * 60000)
        self.assertEqual(self.kept, 1)
        self.lines()
        self.assertIn("not enough room on the disk", await self.refused(self.library.part("a", "kernel")))
        self.assertEqual(self.kept, 0)
        (line,) = self.lines()
        self.assertIn("a.rts.png cannot be decoded now, later again: there is not enough room on the disk", line)

    async def test_a_disk_that_is_full_when_the_decoder_comes(self) -> None:
        """What the picture is becomes known all the same."""
        self.patch(work.Decoder, "_decoded", self.no_room)
        await self.begin(a=large(b"a"))
        self.assertEqual((self.states, self.kept), ({"a": "ready"}, 0))
        self.assertEqual([task for task, _ in self.here.begun], ["examine", "decode", "verify"])
        self.assertIn("not enough room", await self.refused(self.library.part("a", "kernel")))

    def no_room(self, *_: object) -> None:
        raise work.NoRoom

    async def test_a_cache_that_cannot_be_written(self) -> None:
        """That picture says why, and is tried again."""

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        await self.restart(limit=self.limit)
        patched = self.patch(self.library._cache, "make", full)
        while not self.outcomes:
            await self.soon()
            self.clock.advance(COALESCE)
        (line,) = self.lines()
        self.assertIn("No space left on device", line)
        patched.restore()
        self.put("a.rts.png", GOOD)
        self.clock.advance(10)
        await self.settle()
        self.assertEqual(self.states, {"a": "ready"})
        patched = self.patch(self.library._cache, "make", full)
        self.put("b.rts.png", container({"kernel": b"other"}))
        lines = await self.settle()
        reason = "the cache cannot be used: No space left on device"
        self.assertIn(f"b.rts.png cannot be decoded now, later again: {reason}", lines)
        self.assertEqual(self.states, {"a": "ready", "b": "decoding"})
        self.assertEqual(await self.octets(await self.library.part("a", "kernel")), KERNEL)
        patched.restore()
        self.clock.advance(10)
        await self.settle()
        self.assertEqual(self.states, {"a": "ready", "b": "ready"})

    async def test_a_smaller_limit(self) -> None:
        await self.begin(a=large(b"a"), b=large(b"b"))
        self.assertEqual(self.kept, 2)
        self.limit //= 2
        await self.begin()
        self.assertEqual((self.kept, self.states), (1, {"a": "ready", "b": "ready"}))

    async def test_two_of_the_same(self) -> None:
        """They have one place in the cache; that one of them goes does not take it."""
        await self.begin(a=GOOD, b=GOOD)
        self.assertEqual(self.kept, 1)
        (self.root / "a.rts.png").unlink()
        await self.settle()
        self.clock.advance(60)
        await self.settle()
        begun = list(self.here.begun)
        self.assertEqual(await self.octets(await self.library.part("b", "kernel")), KERNEL)
        self.assertEqual(self.here.begun, begun)
