"""Tests of `pixelboot.library.library`: a real folder, real decoders, a hand-moved clock for what is waited for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase

import pixelboot
from pixelboot.library import library
from pixelboot.library.outcomes import (
    ContainerGone,
    ContainerPostponed,
    ContainerReady,
    ContainerShadowed,
    FolderUnreadable,
)
from tests.container.pictures import container, header, picture
from tests.library.case import FolderCase, reactor

KERNEL, INITRD = b"kernel " * 9, b"initrd " * 20
GOOD = container({"kernel": KERNEL, "initrd": INITRD}, name="Demo", cmdline="quiet", distro="debian")
OTHER = container({"vmlinuz": b"other kernel"})
GREY = picture([header(1, colour=0)], b"\0\0")


class TestLibrary(FolderCase):
    """One folder over time."""

    async def test_what_is_in_the_folder(self) -> None:
        self.put("b.rts.png", GOOD)
        self.put("a.rts.png", GREY)
        self.put("c.rts.png", b"no picture at all")
        os.mkfifo(self.root / "d.rts.png")
        self.put("readme.txt", b"")
        found = await self.settle()
        self.assertEqual(
            sorted(outcome.summary() for outcome in found),
            [
                "a.rts.png is damaged: the pixels are not 8-bit RGBA (colour type 0, 8 bits)",
                "b.rts.png is ready as b: kernel of 63 octets, initrd of 140 octets",
                "c.rts.png is damaged: this is not a PNG picture",
                "d.rts.png is damaged: it is not a regular file",
            ],
        )
        containers = self.library.containers
        self.assertEqual([container.id for container in containers], ["a", "b", "c", "d"])
        demo = containers[1]
        self.assertIs(self.library.find("b"), demo)
        self.assertEqual((demo.state, demo.name, demo.cmdline, demo.distro), ("ready", "Demo", "quiet", "debian"))
        self.assertEqual((demo.size, demo.parts), (len(GOOD), (("kernel", 63), ("initrd", 140))))
        self.assertEqual(demo.modified_at, (self.root / "b.rts.png").stat().st_mtime_ns / 1e9)
        self.assertEqual(await self.octets(await self.library.part("b", "kernel")), KERNEL)
        self.assertEqual(await self.octets(await self.library.part("b", "initrd")), INITRD)
        for name, octets in (("a", GREY), ("b", GOOD), ("c", b"no picture at all")):
            payload = await self.library.picture(f"{name}.rts.png")
            self.assertEqual((payload.media_type, await self.octets(payload)), ("image/png", octets))
        self.assertEqual(await self.settle(), [], "nothing is told twice")

    async def test_what_is_not_to_be_had(self) -> None:
        self.put("a.rts.png", GREY)
        self.put("b.rts.png", OTHER)
        os.mkfifo(self.root / "d.rts.png")
        await self.settle()
        self.assertIsNone(self.library.find("x"))
        cases = [
            (self.library.part("x", "kernel"), "there is no such container"),
            (self.library.part("../b", "kernel"), "there is no such container"),
            (self.library.part("a", "kernel"), "the container is damaged: the pixels are not 8-bit RGBA"),
            (self.library.part("b", "initrd"), "the container has no initrd"),
            (self.library.part("b", "../../kernel"), "the container has no ../../kernel"),
            (self.library.picture("x.rts.png"), "there is no such picture"),
            (self.library.picture("../b.rts.png"), "there is no such picture"),
            (self.library.picture("d.rts.png"), "it is not a regular file"),
        ]
        for asked, reason in cases:
            self.assertIn(reason, await self.refused(asked))

    async def test_a_file_that_is_being_copied_is_not_offered(self) -> None:
        self.later = 0.0
        path = self.root / "a.rts.png"
        path.write_bytes(GOOD[:100])
        await self.look()
        self.assertEqual(list(self.library.containers), [])
        path.write_bytes(GOOD)
        await self.look()
        self.assertEqual(list(self.library.containers), [], "it changed since the last look")
        await self.settle()
        self.assertEqual([container.state for container in self.library.containers], ["ready"])

    async def test_a_time_to_come_does_not_hold_a_file_back(self) -> None:
        self.later = -5000.0
        self.put("a.rts.png", GOOD)
        await self.look()
        self.assertEqual(list(self.library.containers), [])
        await self.settle()
        self.assertEqual([container.state for container in self.library.containers], ["ready"])

    async def test_replaced_renamed_deleted(self) -> None:
        self.put("a.rts.png", GOOD)
        await self.settle()
        old = await self.library.part("a", "kernel")
        self.put("a.rts.png", OTHER)
        self.assertIn("being replaced", await self.refused(self.library.picture("a.rts.png")))
        self.assertEqual(await self.octets(await self.library.part("a", "kernel")), KERNEL, "not looked yet")
        self.assertEqual(await self.settle(), [ContainerReady("a.rts.png", "a", (("kernel", 12),))])
        self.assertEqual(await self.octets(await self.library.part("a", "kernel")), b"other kernel")
        self.assertEqual(await self.octets(old), KERNEL, "what was open stays what it was")
        (self.root / "a.rts.png").rename(self.root / "b.rts.png")
        self.assertEqual(
            await self.settle(), [ContainerGone("a.rts.png"), ContainerReady("b.rts.png", "b", (("kernel", 12),))]
        )
        (self.root / "b.rts.png").unlink()
        self.assertEqual(await self.settle(), [ContainerGone("b.rts.png")])
        self.assertEqual(list(self.library.containers), [])
        await self.look()
        self.assertEqual(os.listdir(self.cache), ["index"], "nothing is kept of what is gone")
        self.assertEqual(os.listdir(self.cache / "index"), [])

    async def test_a_restart_decodes_nothing(self) -> None:
        self.put("a.rts.png", GOOD)
        self.put("b.rts.png", GREY)
        first = await self.settle()
        await self.library.stopService()
        self.assertEqual(list(self.library.containers), [])
        self.patch(sys, "executable", "/bin/false")
        for again in (self.library, self.make()):
            again.startService()
            self.library = again
            self.clock.advance(0)
            while not self.clock.getDelayedCalls():
                await self.soon()
            self.assertEqual(sorted(map(repr, self.outcomes)), sorted(map(repr, first)))
            self.assertEqual(await self.octets(await again.part("a", "initrd")), INITRD)
            self.assertEqual(await self.octets(await again.picture("b.rts.png")), GREY)
            self.outcomes = []
            await again.stopService()

    async def test_a_broken_cache_is_rebuilt(self) -> None:
        self.put("a.rts.png", GOOD)
        await self.settle()
        kernel = next(self.cache.glob("*/kernel"))
        for break_it in (kernel.unlink, lambda: kernel.write_bytes(b"x")):
            break_it()
            self.assertEqual(await self.octets(await self.library.part("a", "kernel")), KERNEL)
        self.assertEqual(self.outcomes, [], "nobody needs to know")
        self.patch(self.library._cache, "open_part", lambda *_: None)
        self.assertIn("does not keep", await self.refused(self.library.part("a", "kernel")))

    async def test_many_wait_for_one_decoder(self) -> None:
        started: list[object] = []
        self.put("a.rts.png", GOOD)
        self.put("b.rts.png", OTHER)
        spawn = reactor.spawnProcess

        def counting(*args: Any, **more: Any) -> Any:
            started.append(args)
            return spawn(*args, **more)

        self.patch(reactor, "spawnProcess", counting)
        await self.look()
        waiting = [Deferred.fromCoroutine(self.library.part("a", "kernel")) for _ in range(50)]
        gone = Deferred.fromCoroutine(self.library.part("a", "kernel"))
        raw = Deferred.fromCoroutine(self.library.picture("a.rts.png"))
        gone.cancel()
        await self.assertFailure(gone, CancelledError)
        for each in waiting:
            self.assertEqual(await self.octets(await each), KERNEL)
        self.assertEqual(await self.octets(await raw), GOOD)
        await self.settle()
        self.assertEqual(len(started), 2, "one for each picture")

    async def test_a_picture_that_goes_while_somebody_waits(self) -> None:
        self.hang()
        path = self.put("a.rts.png", GOOD)
        await self.look()
        waiting = Deferred.fromCoroutine(self.library.part("a", "kernel"))
        raw = Deferred.fromCoroutine(self.library.picture("a.rts.png"))
        path.unlink()
        await self.look()
        for each in (waiting, raw):
            self.assertEqual(await self.refused(each), "the container was removed")

    async def test_right_after_the_start_a_menu_waits(self) -> None:
        """Until the pictures that were there are known: their parts, not yet that they are sound."""
        self.put("a.rts.png", GOOD)
        asked = Deferred.fromCoroutine(self.library.settled(5.0))
        self.assertNoResult(asked)
        self.clock.advance(0)
        (found,) = await asked
        self.assertEqual([name for name, _ in found.parts], ["kernel", "initrd"])
        await self.settle()
        self.put("b.rts.png", OTHER)
        self.assertEqual(
            self.successResultOf(Deferred.fromCoroutine(self.library.settled(5.0))), self.library.containers
        )

    async def test_a_menu_does_not_wait_for_ever(self) -> None:
        self.hang()
        self.put("a.rts.png", GOOD)
        asked = Deferred.fromCoroutine(self.library.settled(5.0))
        self.clock.advance(0)
        while not self.library.containers:
            await self.soon()
        self.clock.advance(4.9)
        self.assertNoResult(asked)
        self.clock.advance(0.2)
        self.assertEqual([container.state for container in await asked], ["decoding"])

    async def test_stopping_while_somebody_waits(self) -> None:
        self.hang()
        self.put("a.rts.png", GOOD)
        await self.look()
        waiting = Deferred.fromCoroutine(self.library.part("a", "kernel"))
        await self.library.stopService()
        self.assertEqual(await self.refused(waiting), "the server is stopping")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_stopping_in_the_middle_of_a_look(self) -> None:
        self.put("a.rts.png", GOOD)
        self.clock.advance(0)
        await self.library.stopService()
        self.assertEqual((self.clock.getDelayedCalls(), self.outcomes), ([], []))

    async def test_a_decoder_that_fails_is_tried_again(self) -> None:
        real = sys.executable
        self.patch(sys, "executable", "/bin/false")
        self.put("a.rts.png", GOOD)
        reason = "the decoder failed: it ended with status 1"
        self.assertEqual(await self.settle(), [ContainerPostponed("a.rts.png", reason)])
        self.assertIn(reason, await self.refused(self.library.part("a", "kernel")))
        self.assertIn(reason, await self.refused(self.library.picture("a.rts.png")))
        (container,) = await self.library.settled(5.0)
        self.assertEqual((container.state, container.reason), ("decoding", reason), "it is not the picture's fault")
        self.assertEqual(await self.settle(), [], "not at once")
        self.clock.advance(library.RETRY)
        while not self.clock.getDelayedCalls():
            await self.soon()
        self.assertEqual(await self.settle(), [], "the same is not told again")
        self.patch(sys, "executable", real)
        self.clock.advance(library.RETRY - library.POLL)
        while not self.clock.getDelayedCalls():
            await self.soon()
        self.assertEqual(await self.settle(), [], "twice as long as before")
        self.clock.advance(library.RETRY)
        while not self.clock.getDelayedCalls():
            await self.soon()
        self.assertEqual([type(outcome) for outcome in await self.settle()], [ContainerReady])
        self.assertEqual(await self.octets(await self.library.part("a", "kernel")), KERNEL)

    async def test_no_descriptor_for_a_moment(self) -> None:
        self.put("a.rts.png", GOOD)
        await self.settle()

        def busy(*_: object) -> int:
            raise OSError(24, "Too many open files")

        patched = self.patch(self.library._cache, "open_part", busy)
        reason = "the kernel cannot be opened now: Too many open files"
        self.assertEqual(await self.refused(self.library.part("a", "kernel")), reason)
        patched.restore()
        self.assertEqual([container.state for container in self.library.containers], ["ready"])
        self.assertEqual(await self.octets(await self.library.part("a", "kernel")), KERNEL)

    async def test_a_cache_that_is_deleted(self) -> None:
        """Whether a machine asks before the next look, or another picture comes first."""
        self.put("a.rts.png", GOOD)
        await self.settle()
        shutil.rmtree(self.cache)
        self.assertEqual(await self.octets(await self.library.part("a", "kernel")), KERNEL)
        shutil.rmtree(self.cache)
        self.put("b.rts.png", OTHER)
        self.assertEqual(await self.settle(), [ContainerReady("b.rts.png", "b", (("kernel", 12),))])
        self.assertEqual(await self.octets(await self.library.part("a", "initrd")), INITRD)

    async def test_a_picture_that_is_written_into(self) -> None:
        self.put("a.rts.png", GOOD)
        await self.settle()
        payload = await self.library.picture("a.rts.png")
        self.addCleanup(payload.close)
        self.assertEqual(payload.read(0, 8), GOOD[:8])
        with (self.root / "a.rts.png").open("r+b") as file:
            file.write(GOOD[::-1])
        self.assertRaises(OSError, payload.read, 0, 8)

    async def test_a_file_larger_than_any_container(self) -> None:
        """It keeps nobody waiting."""
        with self.put("a.rts.png", b"").open("r+b") as file:
            file.truncate(1 << 40)
        self.put("b.rts.png", OTHER)
        await self.settle()
        self.assertEqual([container.state for container in self.library.containers], ["damaged", "ready"])
        self.assertIn("more than any container", await self.refused(self.library.picture("a.rts.png")))

    async def test_a_folder_that_goes_and_comes_back(self) -> None:
        self.put("a.rts.png", GOOD)
        await self.settle()
        aside = self.root.with_name("aside")
        self.root.rename(aside)
        lost = FolderUnreadable(str(self.root), "No such file or directory")
        self.assertEqual(await self.settle(), [lost])
        self.assertEqual(await self.settle(), [], "once")
        self.assertEqual(await self.octets(await self.library.part("a", "kernel")), KERNEL, "still on offer")
        aside.rename(self.root)
        self.assertEqual(await self.settle(), [])
        self.root.rename(aside)
        self.assertEqual(await self.settle(), [lost], "and again")
        aside.rename(self.root)

    async def test_several_folders(self) -> None:
        """They are one library: the first with a name has it, the others are told of once; one may go for a while."""
        other = Path(self.mktemp()).resolve()
        other.mkdir()
        await self.stop()
        missing = other.with_name("missing")
        self.library = self.make(other, missing, other)
        self.library.startService()
        (other / "a.rts.png").write_bytes(OTHER)
        (other / "b.rts.png").write_bytes(OTHER)
        self.put("a.rts.png", GOOD)
        shadowed = ContainerShadowed("a.rts.png", str(other), str(self.root))
        absent = FolderUnreadable(str(missing), "No such file or directory")
        outcomes = await self.settle()
        self.assertEqual([each for each in outcomes if not isinstance(each, ContainerReady)], [shadowed, absent])
        self.assertEqual([each.id for each in self.library.containers], ["a", "b"])
        self.assertEqual(await self.octets(await self.library.part("a", "kernel")), KERNEL)
        self.assertEqual(await self.octets(await self.library.picture("b.rts.png")), OTHER)
        self.assertEqual(await self.settle(), [], "once")

        aside = other.with_name("aside")
        other.rename(aside)
        (self.root / "a.rts.png").unlink()
        lost = FolderUnreadable(str(other), "No such file or directory")
        self.assertEqual(await self.settle(), [lost, ContainerGone("a.rts.png")])
        self.assertEqual([each.id for each in self.library.containers], ["b"], "still on offer")
        aside.rename(other)
        (outcome,) = await self.settle()
        self.assertIsInstance(outcome, ContainerReady)
        self.assertEqual(await self.octets(await self.library.picture("a.rts.png")), OTHER, "now the other counts")
        self.put("a.rts.png", GOOD)
        await self.settle()
        self.assertEqual(await self.octets(await self.library.picture("a.rts.png")), GOOD, "and the first again")

    async def test_permissions(self) -> None:
        self.put("a.rts.png", GOOD)
        self.patch(library, "open_picture", self.deny)
        self.assertEqual(await self.settle(), [ContainerPostponed("a.rts.png", "the file cannot be opened: denied")])


class TestImports(TestCase):
    """The serving process does without numpy and Pillow."""

    def test_neither_is_imported(self) -> None:
        program = (
            "import sys, pixelboot.library.library; print([name for name in ('numpy', 'PIL') if name in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=os.environ | {"PYTHONPATH": str(Path(pixelboot.__file__).parents[1])},
        )
        self.assertEqual((done.stdout, done.stderr), ("[]\n", ""))
