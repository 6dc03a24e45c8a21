"""Tests of `pixelboot.boot.hosts`: what one machine boots, and what can be said of one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.hosts import (
    NOBODY,
    NOTHING,
    Boot,
    HostBoot,
    HostHindered,
    Hosts,
    HostTook,
    TakeFailed,
    amended,
    described,
    host_key,
    keys_of,
    said_of,
    settled,
    uuid_key,
)
from pixelboot.boot.machine import Firmware, Machine
from pixelboot.config import ConfigError
from pixelboot.hwaddr import HardwareAddress
from pixelboot.malformed import Malformed

MAC = "02:aa:00:00:00:01"
BOARD = "00112233-4455-6677-8899-aabbccddeeff"
SENT = bytes.fromhex("33221100554477668899aabbccddeeff")


@dataclass
class Host:
    """A ``[[host]]``."""

    name: str = ""
    mac: HardwareAddress | None = None
    uuid: UUID | None = None
    boot: str = ""
    loader: str = ""


class BootTests(SynchronousTestCase):
    """What holds for a machine."""

    def test_precedence(self) -> None:
        """Once before chosen before the settings file before the menu; its card before its UUID."""
        once, chosen = HostBoot("b", once="a", token="t"), HostBoot("b")
        for what, hosts, boot in (
            ("nothing", NOBODY, Boot("menu", "menu")),
            ("another machine", Hosts({"02:aa:00:00:00:09": once}), Boot("menu", "menu")),
            ("the file", Hosts({}, {MAC: HostBoot("c")}), Boot("c", "settings")),
            ("the file, by UUID", Hosts({}, {BOARD: HostBoot("c")}), Boot("c", "settings")),
            ("the file, by both", Hosts({}, {BOARD: HostBoot("c"), MAC: HostBoot("d")}), Boot("d", "settings")),
            ("chosen", Hosts({MAC: chosen}, {MAC: HostBoot("c")}), Boot("b", "chosen")),
            ("chosen by UUID", Hosts({BOARD: chosen}, {MAC: HostBoot("c")}), Boot("b", "chosen")),
            ("chosen: the menu", Hosts({MAC: HostBoot("menu")}, {MAC: HostBoot("c")}), Boot("menu", "chosen")),
            ("once", Hosts({MAC: once}, {MAC: HostBoot("c")}), Boot("a", "once", "t")),
            ("once by UUID", Hosts({MAC: chosen, BOARD: once}), Boot("a", "once", "t")),
            ("a loader alone", Hosts({MAC: HostBoot(loader="x")}, {MAC: HostBoot("c")}), Boot("c", "settings")),
        ):
            self.assertEqual(hosts.boot([MAC, BOARD]), boot, what)

    def test_loader(self) -> None:
        """What was chosen before what the file says; of one place, that of the card."""
        file = {MAC: HostBoot(loader="file"), BOARD: HostBoot(loader="board")}
        for chosen, loader in (
            ({}, "file"),
            ({BOARD: HostBoot(loader="x")}, "x"),
            ({MAC: HostBoot("debian"), BOARD: HostBoot(loader="x")}, "x"),
            ({MAC: HostBoot(loader="y"), BOARD: HostBoot(loader="x")}, "y"),
        ):
            self.assertEqual(Hosts(chosen, file).loader([MAC, BOARD]), loader)
        self.assertEqual(NOBODY.loader([MAC]), "")

    def test_once(self) -> None:
        """It is found by its token; an empty one is nobody's."""
        hosts = Hosts({MAC: HostBoot("b"), BOARD: HostBoot("b", once="a", token="t")})
        self.assertEqual(hosts.once("t"), (BOARD, "a"))
        self.assertIsNone(hosts.once(""))
        self.assertIsNone(hosts.once("u"))

    def test_having(self) -> None:
        """Of a machine of which nothing is chosen any more, nothing is kept."""
        hosts = Hosts({MAC: HostBoot("b")}, {BOARD: HostBoot("c")})
        self.assertEqual((bool(hosts), hosts.by_uuid, bool(NOBODY), NOBODY.by_uuid), (True, True, False, False))
        less = hosts.having({MAC: NOTHING})
        self.assertEqual((dict(less.chosen), dict(less.settled)), ({}, {BOARD: HostBoot("c")}))
        self.assertFalse(Hosts({MAC: HostBoot("b")}).by_uuid)


class KeyTests(SynchronousTestCase):
    """Who a machine is."""

    def test_key(self) -> None:
        for words, key in (
            ("02-AA-00-00-00-01", MAC),
            (MAC.upper(), MAC),
            (BOARD.upper(), BOARD),
            ("02:aa", "02:aa"),
        ):
            self.assertEqual(host_key(words), key)
        for words in ("", "node1", "02:aa:0", BOARD[:-1], BOARD.replace("-", ""), f"{MAC}\n", "${mac}"):
            error = self.assertRaises(Malformed, host_key, words)
            self.assertIn("it goes by the address of its network card", str(error), words)

    def test_uuid_as_sent(self) -> None:
        """RFC 4578 §2.3, after the EFI specification: the first three fields are little-endian."""
        self.assertEqual(uuid_key(SENT), BOARD)
        card = HardwareAddress.parse(MAC)
        self.assertEqual(
            keys_of(Machine("hw:1", card, Firmware.PXE, SENT)), [MAC, BOARD, "33221100-5544-7766-8899-aabbccddeeff"]
        )
        self.assertEqual(keys_of(Machine("hw:1", card, Firmware.PXE, SENT), by_uuid=False), [MAC])
        self.assertEqual(keys_of(Machine("id:1", None, Firmware.PXE)), [])

    @given(st.text())
    def test_any_text(self, words: str) -> None:
        """A key is its own key; anything else is `Malformed`."""
        try:
            key = host_key(words)
        except Malformed:
            return
        self.assertEqual(host_key(key), key)


class SaidTests(SynchronousTestCase):
    """What can be said of a machine."""

    def test_amended(self) -> None:
        before = HostBoot("b", once="a", token="t", loader="x.efi")
        for said, after in (
            ({}, before),
            ({"boot": None}, HostBoot("", once="a", token="t", loader="x.efi")),
            ({"once": "a"}, HostBoot("b", once="a", token="new", loader="x.efi")),
            ({"once": "menu"}, HostBoot("b", once="menu", token="new", loader="x.efi")),
            ({"once": None}, HostBoot("b", loader="x.efi")),
            ({"loader": "http://h/x"}, HostBoot("b", once="a", token="t", loader="http://h/x")),
            ({"loader": "tftp://10.0.0.1/x", "boot": "local"}, HostBoot("local", "a", "tftp://10.0.0.1/x", "t")),
        ):
            self.assertEqual(amended(before, said, "new"), after, said)
        told = said_of(before)
        self.assertEqual(json.loads(json.dumps(told)), {"boot": "b", "once": "a", "loader": "x.efi"})
        self.assertEqual(said_of(amended(NOTHING, told, "")), told)

    def test_refused(self) -> None:
        for said, why in (
            ({"bot": "a"}, "there is no setting 'bot', only boot, once, loader"),
            ({"token": "a"}, "there is no setting 'token'"),
            ({"boot": "a b"}, "the id of a container has letters"),
            ({"boot": 0}, "the id of a container has letters"),
            ({"once": ["a"]}, "the id of a container has letters"),
            ({"loader": 5}, "loader must be a text"),
            ({"loader": "a b"}, "loader must be the name of a file that TFTP serves, tftp://ADDRESS/NAME, a URL, or"),
            ({"loader": "ftp://h/x"}, "loader must be"),
            ({"loader": "tftp://name/x"}, "PXE firmware asks an IPv4 address"),
            ({"loader": "\udcff"}, "loader must be"),
        ):
            error = self.assertRaises(Malformed, amended, NOTHING, said, "t")
            self.assertIn(why, str(error))

    def test_settled(self) -> None:
        """One host may have two keys; of one without a card and UUID nothing can be said."""
        card = HardwareAddress.parse(MAC)
        found = settled([Host("node1", card, UUID(BOARD), "debian", "x.efi"), Host("switch")])
        self.assertEqual(dict(found), dict.fromkeys((MAC, BOARD), HostBoot("debian", loader="x.efi", name="node1")))
        for host, why in (
            (Host("a", card, boot="a b"), "host[1].boot"),
            (Host("a", card, loader="a b"), "host[1].loader"),
            (Host("a", boot="debian"), "is for a host that goes by its mac or uuid"),
            (Host("a", loader="x.efi"), "is for a host that goes by its mac or uuid"),
        ):
            error = self.assertRaises(ConfigError, settled, [host])
            self.assertIn(why, str(error))

    def test_described(self) -> None:
        hosts = Hosts({MAC: HostBoot("b", once="a", token="t")}, {MAC: HostBoot("c", loader="x.efi", name="node1")})
        told = described(MAC, hosts, lambda what: f"no {what}")
        self.assertEqual(
            told,
            {
                "id": MAC,
                "name": "node1",
                "boots": "a",
                "source": "once",
                "notice": "no a",
                "loader": "x.efi",
                "chosen": {"boot": "b", "once": "a", "loader": ""},
                "settings": {"boot": "c", "loader": "x.efi"},
            },
        )
        self.assertIsNone(described(BOARD, hosts, lambda what: None)["settings"])

    def test_outcomes(self) -> None:
        for outcome, line in (
            (HostTook(MAC, "debian", "local"), f"{MAC} boots debian this once, and local from now on"),
            (HostHindered(MAC, "there is no\nx"), f"{MAC} gets the menu: there is no\\nx"),
            (
                TakeFailed("disk full"),
                "which cannot be noted as taken: disk full",
            ),
        ):
            self.assertIn(line, outcome.summary())
