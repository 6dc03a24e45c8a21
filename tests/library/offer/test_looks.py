"""Tests of `pixelboot.library.offer.looks`, in a library over real folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pixelboot.library.folder.look import Survey, survey
from pixelboot.library.offer import looks
from pixelboot.library.offer.looks import BUSY, SETTLE, TICK
from tests.container.pictures import container
from tests.library.case import FolderCase, reactor

KERNEL, INITRD = b"kernel " * 9, b"initrd " * 20
PARTS = {"kernel": KERNEL, "initrd": INITRD}
GOOD = container(PARTS)
OTHER = container({"vmlinuz": b"other kernel"})


class TestLooks(FolderCase):
    """One folder over time."""

    async def test_a_file_that_is_being_copied_is_not_offered(self) -> None:
        self.later = 0.0
        path = self.root / "a.rts.png"
        path.write_bytes(GOOD[:100])
        await self.look()
        self.assertEqual(self.library.containers, ())
        path.write_bytes(GOOD)
        self.clock.advance(SETTLE - 0.2)
        await self.look()
        self.assertEqual(self.library.containers, (), "it changed since the last look")
        self.clock.advance(SETTLE)
        await self.settle()
        self.assertEqual(self.states, {"a": "ready"})

    async def test_a_file_is_looked_at_again_no_later_than_it_can_be_at_rest(self) -> None:
        """So that the folder's events, or the looks every second, and the rest take no longer together than one."""
        path = self.root / "a.rts.png"
        path.write_bytes(GOOD)
        written_at = path.stat().st_ctime
        self.patch(self.library._looks, "_wall", lambda: written_at + self.later)
        self.later = 0.75
        await self.look()
        self.assertEqual(self.library.containers, ())
        self.later = 1.0 + TICK
        self.clock.advance(0.25 + TICK)
        await self.settle()
        self.assertEqual(self.states, {"a": "ready"})

    async def test_a_file_that_is_open_for_writing(self) -> None:
        """However long it has not changed; a known one stays what it was meanwhile, and the log says why."""
        self.put("a.rts.png", GOOD)
        self.assertIn("a.rts.png is ready as a: kernel of 63 octets, initrd of 140 octets", await self.settle())
        with (self.root / "b.rts.png").open("wb") as new, (self.root / "a.rts.png").open("r+b") as known:
            new.write(OTHER)
            known.write(OTHER)
            known.truncate()
            new.flush()
            known.flush()
            self.assertEqual(await self.settle(), [])
            self.assertEqual(self.states, {"a": "ready"})
            self.assertEqual(await self.octets(await self.library.part("a", "kernel")), KERNEL)
            for _ in range(round(BUSY / SETTLE) + 2):
                self.clock.advance(SETTLE)
                await self.look()
            busy = "is still being written, and not offered until that is over"
            self.assertEqual(sorted(self.lines()), [f"a.rts.png {busy}", f"b.rts.png {busy}"], "once")
        await self.settle()
        self.assertEqual(self.states, {"a": "ready", "b": "ready"})
        self.assertEqual(await self.octets(await self.library.part("a", "kernel")), b"other kernel")

    async def test_a_time_to_come_does_not_hold_a_file_back(self) -> None:
        self.later = -5000.0
        self.put("a.rts.png", GOOD)
        await self.look()
        self.assertEqual(self.library.containers, ())
        self.clock.advance(SETTLE)
        await self.settle()
        self.assertEqual(self.states, {"a": "ready"})

    async def test_a_change_is_a_look_at_the_names_concerned(self) -> None:
        self.put("a.rts.png", GOOD)
        await self.settle()
        surveyed: list[object] = []

        def surveying(roots: Any, known: Any, names: Any) -> Survey:
            surveyed.append(names)
            return survey(roots, known, names)

        self.patch(looks, "survey", surveying)
        self.put("b.rts.png", OTHER)
        await self.settle()
        self.assertEqual(set(surveyed), {frozenset(["b.rts.png", "b.rts.png.part"])})

    async def test_sidecars_and_links(self) -> None:
        """What happens to a sidecar, or to what a link leads to, happens to the picture."""
        bare = container(PARTS).replace(b"PixelRTS\0", b"Somethin\0")
        self.put("a.rts.png", GOOD)
        (self.root / "c.rts.png").symlink_to("a.rts.png")
        await self.settle()
        self.assertEqual(self.states, {"a": "ready", "c": "ready"})
        self.put("a.rts.png", OTHER)
        await self.settle()
        self.assertEqual(await self.octets(await self.library.part("c", "kernel")), b"other kernel")
        self.put("c.rts.png", bare)
        await self.settle()
        self.assertEqual(self.states, {"a": "ready", "c": "damaged"})
        self.assertEqual(self.library._entries._linked, {})

    async def test_a_folder_that_goes_and_comes_back(self) -> None:
        self.put("a.rts.png", GOOD)
        await self.settle()
        aside = self.root.with_name("aside")
        self.root.rename(aside)
        lost = f"the folder {self.root} cannot be read: No such file or directory"
        self.assertEqual(await self.settle(), [lost])
        self.clock.advance(60)
        self.assertEqual(await self.settle(), [], "once")
        self.assertEqual(await self.octets(await self.library.part("a", "kernel")), KERNEL, "still on offer")
        aside.rename(self.root)
        await self.pass_time()
        self.assertEqual(self.lines(), [])
        self.root.rename(aside)
        self.assertEqual(await self.settle(), [lost], "and again")
        aside.rename(self.root)

    async def pass_time(self) -> None:
        """Some seconds, in which the folders are looked for."""
        for _ in range(3):
            self.clock.advance(1)
            await self.settle()

    async def test_several_folders(self) -> None:
        """They are one library: the first with a name has it, the others are told of once; one may go for a while."""
        other = Path(self.mktemp()).resolve()
        other.mkdir()
        missing = other.with_name("missing")
        (other / "a.rts.png").write_bytes(OTHER)
        (other / "b.rts.png").write_bytes(OTHER)
        self.put("a.rts.png", GOOD)
        await self.restart(other, missing, other)
        shadowed = f"a.rts.png in {other} is not offered: there is one in {self.root}"
        absent = f"the folder {missing} cannot be read: No such file or directory"
        self.assertEqual((await self.settle())[:2], [shadowed, absent])
        self.assertEqual([each.id for each in self.library.containers], ["a", "b"])
        self.assertEqual(await self.octets(await self.library.part("a", "kernel")), KERNEL)
        self.assertEqual(await self.octets(await self.library.picture("b.rts.png")), OTHER)
        await self.pass_time()
        self.put("c.rts.png", OTHER)
        self.assertEqual((await self.settle())[0], "c.rts.png is new", "what is wrong is told once")

        aside = other.with_name("aside")
        other.rename(aside)
        (self.root / "a.rts.png").unlink()
        await self.pass_time()
        self.assertEqual([each.id for each in self.library.containers], ["b", "c"], "still on offer")
        aside.rename(other)
        await self.pass_time()
        self.assertEqual(await self.octets(await self.library.picture("a.rts.png")), OTHER, "now the other counts")
        self.put("a.rts.png", GOOD)
        await self.settle()
        self.assertEqual(await self.octets(await self.library.picture("a.rts.png")), GOOD, "and the first again")

    async def test_many_at_once(self) -> None:
        """They are taken in by slices, so that nobody else has to wait for all."""
        self.patch(looks, "SLICE", 0.0)
        for number in range(30):
            os.mkfifo(self.root / f"{number:04}.rts.png")
        await self.restart()
        counts = set()

        def count() -> None:
            counts.add(len(self.library.containers))
            if not self.library._looks._looked:
                reactor.callLater(0, count)

        count()
        await self.look()
        self.assertLessEqual(set(range(30)), counts, "the reactor had its turn after each")
        self.assertEqual([each.id for each in self.library.containers], sorted(self.states))
        self.assertEqual(len(self.states), 30)
        for path in self.root.iterdir():
            path.unlink()
        await self.settle()
        self.assertEqual(self.states, {})
