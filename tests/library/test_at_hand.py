"""Tests of `pixelboot.library.tree`: one file for many askers, at once and without a thread."""

from __future__ import annotations

import errno
import math
import os
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from pixelboot.hwaddr import HardwareAddress
from pixelboot.library.names.meant import Names, Parts
from pixelboot.library.sharing.shelf import IDLE
from pixelboot.library.tree import NOBODY, Absent, Asker, Forbidden, Tree
from pixelboot.payload import Payload, TextPayload
from tests.library.test_tree import TreeCase, reactor

CARD = Asker(HardwareAddress.parse("52:54:00:12:34:56"), "10.77.0.9")
OTHER = Asker(HardwareAddress.parse("52:54:00:12:34:57"), "10.77.0.10")


class Script:
    """What a tree makes of names, once of each."""

    def __init__(self) -> None:
        self.asked: list[tuple[Parts, Asker]] = []

    def knows(self, parts: Parts) -> bool:
        """As `Generated.knows`."""
        return parts[0] == "autoexec.ipxe"

    async def open(self, parts: Parts, asker: Asker) -> Payload:
        """As `Generated.open`."""
        self.asked.append((parts, asker))
        return TextPayload(f"#!ipxe for {asker.address}")


class AtHandCase(TreeCase):
    """A running tree; how often it looks for files is counted."""

    def setUp(self) -> None:
        super().setUp()
        self.run_with(Names())

    def run_with(self, names: Names) -> None:
        """Another tree over the same folder."""
        self.tree = Tree(
            str(self.root),
            reactor,
            names=names,
            clock=self.clock,
            wall=lambda: self.later + 4e9,
            packaged=self.packaged,
        )
        self.tree.startService()
        self.addCleanup(self.tree.stopService)
        self.looks = 0
        find = self.tree._finder.find

        def counted(*what: Any) -> int:
            self.looks += 1
            return find(*what)

        self.patch(self.tree._finder, "find", counted)

    async def take(self, name: str, asker: Asker = NOBODY) -> Payload:
        """Open it; closed at the end of the test, at the latest."""
        payload = await self.tree.open(name, asker)
        self.addCleanup(payload.close)
        await deferLater(reactor, 0)  # so that everybody else has his, too
        return payload

    def at_hand(self, name: str, asker: Asker = NOBODY, asked_at: float = math.inf) -> bytes | None:
        """What is in it, if it is at hand."""
        payload = self.tree.at_hand(name, asker, asked_at)
        if payload is None:
            return None
        octets = payload.read(0, 99)
        payload.close()
        return octets


class SharedTests(AtHandCase):
    """Opened once."""

    async def test_at_hand(self) -> None:
        """After it was opened, as long as it is open, and as long as it is what would be found."""
        self.assertIsNone(self.at_hand("x.efi"))
        (await self.take("x.efi")).close()
        self.assertEqual((self.at_hand("x.efi"), self.at_hand("x.efi"), self.looks), (b"the octets", b"the octets", 1))
        self.clock.advance(IDLE)
        self.assertIsNone(self.at_hand("x.efi"), "it was closed")
        (await self.take("x.efi")).close()
        self.assertEqual(self.at_hand("x.efi"), b"the octets")
        self.assertRaises(Forbidden, self.tree.at_hand, "../x.efi")

    async def test_few_descriptors(self) -> None:
        """A thousand transfers of twenty files take twenty descriptors, under whatever names they are asked for."""
        for number in range(20):
            (self.root / f"f{number}").write_bytes(b"%d" % number)
        (await self.take("x.efi")).close()
        before = len(os.listdir("/proc/self/fd"))
        names = [f"f{number}" for number in range(20)] + [f"/F{number}" for number in range(20)]
        payloads = await gatherResults([Deferred.fromCoroutine(self.take(name)) for name in names * 25])
        self.assertEqual(len(os.listdir("/proc/self/fd")), before + 20)
        self.assertEqual(len({id(payload.origin) for payload in payloads}), 20)
        self.assertEqual({payload.read(0, 9) for payload in payloads}, {b"%d" % number for number in range(20)})
        for payload in payloads[1:]:
            payload.close()
        self.clock.advance(IDLE)
        self.assertEqual((len(os.listdir("/proc/self/fd")), payloads[0].read(0, 9)), (before, b"0"))

    async def test_one_look(self) -> None:
        """Who asks for the same meanwhile waits for the same look, also for what is not there."""
        asking = [Deferred.fromCoroutine(self.take(name)) for name in ("x.efi", "/x.efi", "x.efi")]
        await gatherResults(asking)
        missing = [Deferred.fromCoroutine(self.tree.open("none")) for _ in range(5)]
        for each in missing:
            await self.assertFailure(each, Absent)
        self.assertEqual(self.looks, 2)
        await self.assertFailure(Deferred.fromCoroutine(self.tree.open("none")), Absent)
        self.assertRaises(Absent, self.tree.at_hand, "none")
        self.assertEqual(self.looks, 2, "the folder says that nothing has come into it")
        (self.root / "NONE").write_bytes(b"now")
        self.assertIsNone(self.at_hand("none"))
        self.assertEqual(await self.octets("none"), b"now")

    async def test_replaced(self) -> None:
        """Who has the old one keeps it; others get the new one, and its packets are others."""
        old = await self.take("x.efi")
        (self.root / "new").write_bytes(b"something else")
        (self.root / "new").rename(self.root / "x.efi")
        self.assertIsNone(self.at_hand("x.efi"))
        new = await self.take("x.efi")
        self.assertEqual((old.read(0, 99), new.read(0, 99)), (b"the octets", b"something else"))
        self.assertIsNot(old.origin, new.origin)
        self.assertEqual(self.at_hand("x.efi"), b"something else")

    async def test_asked_in_the_same_moment(self) -> None:
        """What was seen after a request had arrived is what it gets; what arrives later is looked at again."""
        (await self.take("x.efi")).close()
        asked_at = self.clock.seconds()
        self.clock.advance(0.001)
        self.assertEqual(self.at_hand("x.efi"), b"the octets")
        (self.root / "new").write_bytes(b"something else")
        (self.root / "new").rename(self.root / "x.efi")
        self.assertEqual(self.at_hand("x.efi", asked_at=asked_at), b"the octets")
        self.assertIsNone(self.at_hand("x.efi", asked_at=self.clock.seconds()))
        self.assertIsNone(self.at_hand("x.efi", asked_at=asked_at), "it was seen not to be the same")

    async def test_written_into(self) -> None:
        """Nobody gets a mixture."""
        old = await self.take("x.efi")
        (self.root / "x.efi").write_bytes(b"THE OCTETS ARE OTHERS")
        self.assertIsNone(self.at_hand("x.efi"))
        error = self.assertRaises(OSError, old.read, 0, 99)
        self.assertEqual(getattr(error, "errno", 0), errno.ESTALE)
        self.assertEqual(await self.octets("x.efi"), b"THE OCTETS ARE OTHERS")

    async def test_replaced_while_somebody_looks(self) -> None:
        """Who asks after a file was replaced gets the new one, though the look of another found the old one."""
        find, found = self.tree._finder.find, list[int]()

        def late(*what: Any) -> int:
            found.append(find(*what))
            if len(found) == 1:
                (self.root / "new").write_bytes(b"something else")
                (self.root / "new").rename(self.root / "x.efi")
            return found[-1]

        self.patch(self.tree._finder, "find", late)
        asking = [Deferred.fromCoroutine(self.take("x.efi")) for _ in range(3)]
        octets = [each.read(0, 99) for each in await gatherResults(asking)]
        self.assertEqual((octets, len(found)), ([b"the octets", *[b"something else"] * 2], 2))

    async def test_in_the_tick_of_its_clock(self) -> None:
        """A file that was changed just now may change again unseen: it is not shared for long."""
        self.run_with(Names())
        self.tree._wall = lambda: (self.root / "x.efi").stat().st_ctime
        first = await self.take("x.efi")
        self.assertEqual(self.at_hand("x.efi"), b"the octets")
        self.clock.advance(1.0)
        self.assertIsNone(self.at_hand("x.efi"))
        self.assertIsNot((await self.take("x.efi")).origin, first.origin)

    async def test_no_descriptor_left(self) -> None:
        """What nobody uses makes room."""
        (self.root / "y").write_bytes(b"y")
        (await self.take("x.efi")).close()
        find, failed = self.tree._finder.find, list[bool]()

        def short(*what: Any) -> int:
            if not failed:
                failed.append(True)
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return find(*what)

        self.patch(self.tree._finder, "find", short)
        self.assertEqual(await self.octets("y"), b"y")
        self.assertIsNone(self.at_hand("x.efi"))

    async def test_bounded(self) -> None:
        """Names and ways that were not heard for long are forgotten."""
        from pixelboot.library import tree

        self.patch(tree, "REMEMBERED", 3)
        for number in range(9):
            await self.assertFailure(Deferred.fromCoroutine(self.tree.open(f"none-{number}")), Absent)
        self.assertEqual((len(self.tree._ways), len(self.tree._meanings)), (3, 3))


class NamesTests(AtHandCase):
    """What names mean to who asks."""

    async def what(self, name: str, asker: Asker = NOBODY) -> str:
        """What is found, which has to be at hand afterwards."""
        payload = await self.take(name, asker)
        octets = payload.read(0, 99)
        self.assertEqual(self.at_hand(name, asker), octets)
        return octets.decode()

    def put(self, *names: str) -> None:
        """Files that hold their own names."""
        for name in names:
            (self.root / name).parent.mkdir(exist_ok=True)
            (self.root / name).write_bytes(name.encode())

    async def test_machine_folders(self) -> None:
        """That of the machine first, then what is there for all; also when the folder comes later."""
        self.run_with(Names(machine_folders=["mac", "serial"]))
        self.put("52-54-00-12-34-56/grub.cfg", "grub.cfg", "a.cfg", "1A2B3C4D/config.txt", "config.txt", "start4.elf")
        self.assertEqual(await self.what("grub.cfg", CARD), "52-54-00-12-34-56/grub.cfg")
        for asker in (OTHER, NOBODY):
            self.assertEqual(await self.what("grub.cfg", asker), "grub.cfg")
        self.assertEqual(await self.what("a.cfg", CARD), "a.cfg")
        self.put("01-52-54-00-12-34-57/grub.cfg", "52-54-00-12-34-56/a.cfg")
        self.assertEqual(await self.what("grub.cfg", OTHER), "01-52-54-00-12-34-57/grub.cfg")
        self.assertEqual(await self.what("a.cfg", CARD), "52-54-00-12-34-56/a.cfg")
        for name, found in (
            ("1a2b3c4d/config.txt", "1A2B3C4D/config.txt"),
            ("1a2b3c4d/start4.elf", "start4.elf"),
            ("99999999/start4.elf", "start4.elf"),
        ):
            self.assertEqual(await self.what(name), found)
        looks = self.looks
        for number in range(50):
            self.assertEqual(
                self.at_hand(f"{number:08x}/start4.elf"), b"start4.elf", "no thread for each of many boards"
            )
        self.assertEqual(self.looks, looks)

    async def test_machine_folders_that_lead_out(self) -> None:
        """They are links like others."""
        self.run_with(Names(machine_folders=["mac"]))
        (self.root / "52-54-00-12-34-56").symlink_to("..")
        await self.assertFailure(Deferred.fromCoroutine(self.tree.open("secret", CARD)), Forbidden)

    async def test_aliases_and_rules(self) -> None:
        self.put("y", "10.77.0.9", "10.77.0.10")
        self.run_with(Names({"z": "y"}, ["r ^mine$ \\i", "a ^secret/"]))
        self.assertEqual(await self.what("z"), "y")
        self.assertEqual((await self.what("mine", CARD), await self.what("mine", OTHER)), ("10.77.0.9", "10.77.0.10"))
        self.assertRaises(Forbidden, self.tree.at_hand, "secret/x", CARD)
        self.assertTrue(await self.tree.holds("z"))

    async def test_case(self) -> None:
        self.put("EFI/BOOTX64.EFI")
        self.assertEqual(await self.what("efi\\bootx64.efi"), "EFI/BOOTX64.EFI")
        self.put("EFI/bootx64.efi")
        self.assertEqual(await self.what("EFI/bootx64.efi"), "EFI/bootx64.efi")
        self.run_with(Names(ignore_case=False))
        await self.assertFailure(Deferred.fromCoroutine(self.tree.open("efi/bootx64.efi")), Absent)

    async def test_generated(self) -> None:
        """What is made is for who asks, without a look for a file each time; a file comes first."""
        script = Script()
        self.tree.serve_also(script)
        for asker in (CARD, OTHER):
            payload = await self.take("autoexec.ipxe", asker)
            self.assertEqual(payload.read(0, 99), b"#!ipxe for " + asker.address.encode())
            self.assertIsNone(self.at_hand("autoexec.ipxe", asker))
        self.assertEqual((script.asked, self.looks), ([(("autoexec.ipxe",), CARD), (("autoexec.ipxe",), OTHER)], 1))
        await self.assertFailure(Deferred.fromCoroutine(self.tree.open("none", CARD)), Absent)
        self.put("autoexec.ipxe")
        self.assertEqual(await self.what("autoexec.ipxe", CARD), "autoexec.ipxe")
