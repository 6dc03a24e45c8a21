"""Tests of `pixelboot.library.library`: a real folder, and a hand-moved clock for what is waited for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase

import pixelboot
from pixelboot.library import library
from pixelboot.library.decoding import work
from pixelboot.library.decoding.pool import Decoders
from pixelboot.library.folder.look import Unreadable
from pixelboot.library.folder.watch import COALESCE
from pixelboot.library.offer.parts import RETRY
from tests.container.pictures import container, header, picture, rows, signed, snapshot, text
from tests.library.case import EVERYTHING, FolderCase

KERNEL, INITRD = b"kernel " * 9, b"initrd " * 20
GOOD = container({"kernel": KERNEL, "initrd": INITRD}, name="Demo", cmdline="quiet", distro="debian")
OTHER = container({"vmlinuz": b"other kernel"})
GREY = picture([header(1, colour=0)], b"\0\0")


class TestLibrary(FolderCase):
    """One folder over time."""

    async def test_what_is_in_the_folder(self) -> None:
        self.put("b.rts.png", GOOD)
        self.put("a.rts.png", GREY)
        self.put("c.rts.png", b"\xff\xd8\xff\xe0\0\x10JFIF")
        os.mkfifo(self.root / "d.rts.png")
        (self.root / "e.rts.png").mkdir()
        (self.root / "f.rts.png").symlink_to("../secret")
        self.put("g.rts.png", snapshot())
        self.put("readme.txt", b"")
        lines = await self.settle()
        self.assertEqual(lines[3], "7 containers: 4 to be verified, 3 damaged")
        found = {line.split()[0]: line for line in lines}
        self.assertEqual(found["b.rts.png"], "b.rts.png is ready as b: kernel of 63 octets, initrd of 140 octets")
        self.assertIn("d.rts.png is damaged: it is not a regular file", lines)
        self.assertIn("e.rts.png is damaged: it is not a regular file", lines)
        self.assertIn("f.rts.png is damaged: it is a link that leads out of the folder", lines)
        self.assertIn("g.rts.png is not bootable: it is a snapshot", found["g.rts.png"])
        self.assertEqual(len(lines), 8, lines)
        self.assertEqual(self.states, dict.fromkeys("acdef", "damaged") | {"b": "ready", "g": "unbootable"})
        demo = self.library.containers[1]
        self.assertIs(self.library.find("b"), demo)
        self.assertEqual(
            (demo.name, demo.cmdline, demo.distro, demo.format), ("Demo", "quiet", "debian", "PixelRTS-2.0")
        )
        self.assertEqual((demo.size, demo.parts), (len(GOOD), (("kernel", 63), ("initrd", 140))))
        self.assertEqual((demo.labels, demo.signer), (("kernel", "initrd"), ""))
        self.assertEqual(demo.modified_at, (self.root / "b.rts.png").stat().st_mtime_ns / 1e9)
        self.assertEqual(await self.octets(await self.library.part("b", "kernel")), KERNEL)
        self.assertEqual(await self.octets(await self.library.part("b", "initrd")), INITRD)
        for name in "abcg":
            payload = await self.library.picture(f"{name}.rts.png")
            self.assertEqual(payload.media_type, "image/png")
            self.assertEqual(await self.octets(payload), (self.root / f"{name}.rts.png").read_bytes())
        shown = self.library.containers
        self.assertEqual(await self.settle(), [], "nothing is told twice")
        self.assertIs(self.library.containers, shown, "and nothing has changed")

    async def test_when_all_is_described(self) -> None:
        self.put("a.rts.png", GOOD)
        self.put("b.rts.png", GOOD)
        await self.settle()
        self.put("c.rts.png", GOOD)
        await self.settle()
        self.assertEqual(self.described, [["Demo", "Demo"]], "once, when those of the start were")
        await self.restart()
        await self.settle()
        self.assertEqual(self.described[1:], [["Demo", "Demo", "Demo"]], "what is recalled is known at once")

    async def test_what_is_not_to_be_had(self) -> None:
        self.put("a.rts.png", GREY)
        self.put("b.rts.png", OTHER)
        self.put("c.rts.png", snapshot())
        os.mkfifo(self.root / "d.rts.png")
        await self.settle()
        self.assertIsNone(self.library.find("x"))
        cases = [
            (lambda: self.library.part("x", "kernel"), "there is no such container"),
            (lambda: self.library.part("../b", "kernel"), "there is no such container"),
            (lambda: self.library.part("a", "kernel"), "the container is damaged: no payload"),
            (lambda: self.library.part("b", "initrd"), "the container has no initrd"),
            (lambda: self.library.part("b", "../../kernel"), "the container has no ../../kernel"),
            (lambda: self.library.part("c", "kernel"), "the container is unbootable: it is a snapshot"),
            (lambda: self.library.picture("x.rts.png"), "there is no such picture"),
            (lambda: self.library.picture("../b.rts.png"), "there is no such picture"),
            (lambda: self.library.picture("d.rts.png"), "it is not a regular file"),
        ]
        for asked, reason in cases:
            self.assertIn(reason, await self.refused(asked()))

    async def test_written_to_by_another_name(self) -> None:
        """Which no event tells: whoever asks for the picture makes it known."""
        self.put("a.rts.png", GOOD)
        await self.settle()
        (self.root / "a.rts.png").rename(self.root / ".a")
        elsewhere = self.root.parent / f"{self.root.name}.rts.png"
        os.link(self.root / ".a", elsewhere)
        (self.root / ".a").rename(self.root / "a.rts.png")
        await self.settle()
        elsewhere.write_bytes(OTHER)
        self.assertEqual(await self.settle(), [])
        self.assertIn("being replaced", await self.refused(self.library.picture("a.rts.png")))
        self.assertIn("a.rts.png was replaced", await self.settle())
        self.assertEqual(await self.octets(await self.library.picture("a.rts.png")), OTHER)
        self.assertEqual(await self.octets(await self.library.part("a", "kernel")), b"other kernel")

    async def test_replaced_renamed_deleted(self) -> None:
        self.put("a.rts.png", GOOD)
        await self.settle()
        old = await self.library.part("a", "kernel")
        self.put("a.rts.png", OTHER)
        self.assertIn("being replaced", await self.refused(self.library.picture("a.rts.png")))
        self.assertEqual(await self.octets(await self.library.part("a", "kernel")), KERNEL, "not looked yet")
        ready = "is ready as {}: kernel of 12 octets"
        self.assertEqual(await self.settle(), ["a.rts.png was replaced", "a.rts.png " + ready.format("a")])
        self.assertEqual(await self.octets(await self.library.part("a", "kernel")), b"other kernel")
        self.assertEqual(await self.octets(old), KERNEL, "what was open stays what it was")
        (self.root / "a.rts.png").chmod(0o600)
        self.assertEqual(await self.settle(), [], "it is as it was")
        (self.root / "a.rts.png").rename(self.root / "b.rts.png")
        lines = await self.settle()
        self.assertEqual(lines, ["b.rts.png is new", "a.rts.png is gone", "b.rts.png " + ready.format("b")])
        self.assertEqual(self.kept, 2)
        (self.root / "b.rts.png").unlink()
        self.assertEqual(await self.settle(), ["b.rts.png is gone"])
        self.assertEqual(self.library.containers, ())
        self.clock.advance(60)
        await self.settle()
        for folder in ("index", "findings", "parts"):
            self.assertEqual(os.listdir(self.cache / folder), [], "nothing is kept of what is gone")

    async def test_a_restart_decodes_nothing(self) -> None:
        self.put("a.rts.png", GOOD)
        self.put("b.rts.png", GREY)
        await self.settle()
        shown = self.library.containers
        await self.library.stopService()
        self.assertEqual(self.library.containers, ())
        for again in (self.library, self.make()):
            self.outcomes.clear()
            self.library = again
            again.startService()
            self.here._ended = None
            self.here.begun.clear()
            self.assertEqual(await self.settle(), ["2 containers: 1 ready, 1 damaged"])
            self.assertEqual(self.library.containers, shown)
            self.assertEqual(await self.octets(await again.part("a", "initrd")), INITRD)
            self.assertEqual(await self.octets(await again.picture("b.rts.png")), GREY)
            self.assertEqual(self.here.begun, [])
            await again.stopService()

    async def test_a_decoder_is_started_early_where_there_is_much_to_read(self) -> None:
        """Not for a folder without pictures, nor where an earlier run has read them."""
        for there, warm in (("notes.txt", False), ("a.rts.png", True), ("b.rts.png", False)):
            self.put(there, GOOD)
            await self.restart()
            await self.settle()
            self.assertIs(self.here.warm, warm, there)

    async def test_many_wait_for_one_decoder(self) -> None:
        self.here.hold(*EVERYTHING)
        self.put("a.rts.png", GOOD)
        self.put("b.rts.png", OTHER)
        await self.look()
        waiting = [Deferred.fromCoroutine(self.library.part("b", "kernel")) for _ in range(50)]
        gone = Deferred.fromCoroutine(self.library.part("b", "kernel"))
        raw = Deferred.fromCoroutine(self.library.picture("b.rts.png"))
        gone.cancel()
        await self.assertFailure(gone, CancelledError)
        self.here.hold()
        for each in waiting:
            self.assertEqual(await self.octets(await each), b"other kernel")
        self.assertEqual(await self.octets(await raw), OTHER)
        await self.settle()
        jobs = [("examine", "b.rts.png"), ("examine", "a.rts.png"), ("decode", "b.rts.png"), ("decode", "a.rts.png")]
        self.assertEqual(sorted(self.here.begun), sorted(jobs), "each once")
        self.assertEqual(self.here.begun[0], jobs[0], "what somebody waits for comes first")

    async def test_a_picture_that_goes_while_somebody_waits(self) -> None:
        self.here.hold(*EVERYTHING)
        path = self.put("a.rts.png", GOOD)
        await self.look()
        waiting = Deferred.fromCoroutine(self.library.part("a", "kernel"))
        raw = Deferred.fromCoroutine(self.library.picture("a.rts.png"))
        path.unlink()
        await self.look()
        for each in (waiting, raw):
            self.assertEqual(await self.refused(each), "the container was removed")

    async def test_a_picture_that_is_replaced_while_somebody_waits(self) -> None:
        """Whoever waits gets the new one."""
        self.here.hold(*EVERYTHING)
        self.put("a.rts.png", GOOD)
        await self.look()
        waiting = Deferred.fromCoroutine(self.library.part("a", "kernel"))
        raw = Deferred.fromCoroutine(self.library.picture("a.rts.png"))
        self.put("a.rts.png", OTHER)
        await self.look()
        self.here.hold()
        self.assertEqual(await self.octets(await waiting), b"other kernel")
        self.assertEqual(await self.octets(await raw), OTHER)

    async def test_right_after_the_start_a_menu_waits(self) -> None:
        """Until the pictures that were there are known: their parts, not yet that they are sound."""
        self.put("a.rts.png", GOOD)
        asked = Deferred.fromCoroutine(self.library.settled(5.0))
        self.assertNoResult(asked)
        await self.look()
        (found,) = await asked
        self.assertEqual([name for name, _ in found.parts], ["kernel", "initrd"])
        await self.settle()
        self.put("b.rts.png", OTHER)
        self.assertEqual(
            self.successResultOf(Deferred.fromCoroutine(self.library.settled(5.0))), self.library.containers
        )

    async def test_a_menu_does_not_wait_for_ever(self) -> None:
        self.here.hold(*EVERYTHING)
        self.put("a.rts.png", GOOD)
        asked = Deferred.fromCoroutine(self.library.settled(5.0))
        await self.look()
        self.assertNoResult(asked)
        self.clock.advance(5)
        self.assertEqual([container.state for container in await asked], ["decoding"])

    async def test_a_decoder_that_fails_is_tried_again(self) -> None:
        self.here.problem = "the decoder failed: it ended with status 1"
        self.put("a.rts.png", GOOD)
        postponed = f"a.rts.png cannot be decoded now, later again: {self.here.problem}"
        self.assertEqual(await self.settle(), ["1 container: 1 to be verified", postponed])
        self.assertIn(self.here.problem, await self.refused(self.library.part("a", "kernel")))
        self.assertIn(self.here.problem, await self.refused(self.library.picture("a.rts.png")))
        (found,) = await self.library.settled(5.0)
        self.assertEqual((found.state, found.reason), ("decoding", self.here.problem), "it is not the picture's fault")
        begun = len(self.here.begun)
        self.assertEqual(await self.settle(), [])
        self.assertEqual(len(self.here.begun), begun, "not at once")
        self.clock.advance(RETRY)
        self.assertEqual(await self.settle(), [], "the same is not told again")
        self.assertEqual(len(self.here.begun), begun + 1)
        self.here.problem = None
        self.clock.advance(RETRY)
        await self.settle()
        self.assertEqual(len(self.here.begun), begun + 1, "twice as long as before")
        self.clock.advance(RETRY)
        (line,) = await self.settle()
        self.assertIn("is ready", line)
        self.assertEqual(await self.octets(await self.library.part("a", "kernel")), KERNEL)

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
        self.assertEqual(self.states, {"a": "damaged", "b": "ready"})
        self.assertIn("more than any container", await self.refused(self.library.picture("a.rts.png")))

    async def test_permissions(self) -> None:
        def deny(root: str, name: str) -> int:
            raise Unreadable("the file cannot be opened: denied")

        self.put("a.rts.png", GOOD)
        self.patch(library, "open_picture", deny)
        self.patch(work, "open_picture", deny)
        line = "a.rts.png cannot be decoded now, later again: the file cannot be opened: denied"
        self.assertIn(line, await self.settle())
        self.assertIn("denied", await self.refused(self.library.picture("a.rts.png")))

    async def test_keys(self) -> None:
        """Where keys are trusted, only what one of them signed is offered; and nothing before that is known."""
        ours, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
        key, unknown = (each.public_key().public_bytes_raw().hex() for each in (ours, other))
        parts = {"kernel": KERNEL, "initrd": INITRD}
        lines = rows(KERNEL + INITRD, 8)

        def written(described: dict[str, object]) -> bytes:
            return picture([header(8), text(b"PixelRTS" + json.dumps(described).encode("ascii"))], lines)

        self.put("a.rts.png", written(signed(parts, ours)))
        self.put("b.rts.png", written(signed(parts, other)))
        self.put("c.rts.png", written(signed(parts, ours, old=True)))
        self.put("d.rts.png", written(signed(parts, other, old=True)))
        self.put("e.rts.png", GOOD)
        self.put("f.rts.png", written(signed(parts, ours) | {"cmdline": "init=/bin/sh"}))
        reasons = {
            "b": f"it is signed by the unknown key {unknown}",
            "c": f"the key {key} signed its payload alone, not its description",
            "d": f"its payload alone is signed, by the unknown key {unknown}",
            "e": "it has no signature",
        }
        await self.settle()
        self.assertEqual({one: state for one, state in self.states.items() if state != "ready"}, {"f": "damaged"})
        self.assertEqual(self.library.containers[0].signer, key)
        for cold in (False, True):
            if cold:
                shutil.rmtree(self.cache)
            await self.restart(trusted=frozenset([key]))
            self.here.hold(*(EVERYTHING if cold else ()))
            await self.look()
            if cold:
                self.assertEqual({each.state for each in self.library.containers}, {"decoding"})
                self.assertEqual([each.parts for each in self.library.containers], [()] * 6)
                self.here.hold()
            told = await self.settle()
            self.assertEqual(self.states, dict.fromkeys("bcde", "untrusted") | {"a": "ready", "f": "damaged"})
            for name, why in reasons.items():
                reason = f"not signed by a trusted key: {why}"
                found = self.library.find(name)
                assert found is not None
                self.assertEqual((found.reason, found.parts, found.labels), (reason, (), ("kernel", "initrd")))
                asked = self.library.part(name, "kernel")
                self.assertEqual(await self.refused(asked), f"the container is untrusted: {reason}")
                self.assertEqual(f"{name}.rts.png is not offered: {reason}" in told, cold)
                raw = await self.octets(await self.library.picture(f"{name}.rts.png"))
                self.assertEqual(raw, (self.root / f"{name}.rts.png").read_bytes())
            self.assertEqual(await self.octets(await self.library.part("a", "kernel")), KERNEL)

    async def test_stopping_in_the_middle_of_a_look(self) -> None:
        self.put("a.rts.png", GOOD)
        while self.library._looks._looking is None:
            await self.soon()
            self.clock.advance(COALESCE)
        await self.library.stopService()
        self.assertEqual((self.clock.getDelayedCalls(), self.outcomes), ([], []))


class TestProcesses(FolderCase):
    """The same with processes that decode."""

    decoders = Decoders

    async def test_from_a_file_to_octets(self) -> None:
        self.put("a.rts.png", GOOD)
        self.put("b.rts.png", GREY)
        await self.settle()
        self.assertEqual(self.states, {"a": "ready", "b": "damaged"})
        self.assertEqual(await self.octets(await self.library.part("a", "initrd")), INITRD)
        self.assertEqual(await self.octets(await self.library.picture("b.rts.png")), GREY)

    async def test_stopping_while_somebody_waits(self) -> None:
        self.hang()
        self.put("a.rts.png", GOOD)
        await self.look()
        waiting = Deferred.fromCoroutine(self.library.part("a", "kernel"))
        await self.library.stopService()
        self.assertEqual(await self.refused(waiting), "the server is stopping")
        self.assertEqual(self.clock.getDelayedCalls(), [])


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
