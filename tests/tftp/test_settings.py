"""Tests of `pixelboot.tftp.settings`."""

from __future__ import annotations

import tomllib
from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import ConfigError, build, dump, override
from pixelboot.tftp.patience import Patience
from pixelboot.tftp.settings import TftpSettings, port_range

WHOLE = (
    'enabled = false\nroot = "/srv/tftp"\naddress = "10.77.0.1"\nport = 6969\nblksize = 1428\nwindowsize = 16\n'
    'refuse = ["tsize", "blksize"]\ntimeout = 0.5\nretries = 3\nrollover = 1\ntransfers = 12\n'
)

LIMITS = (
    'blksize = ""\ntransfers_per_client = 7\nrequests_per_client = 30\n'
    '[[network]]\nnetwork = "10.9.0.0/16"\nblksize = 1024\n[[network]]\nnetwork = "2001:db8::/32"\nblksize = 1228\n'
)

REFUSED: tuple[tuple[str, str, str], ...] = (
    ('enabled = "yes"', "tftp.enabled", "true or false"),
    ("root = 1", "tftp.root", "a folder"),
    ('address = "localhost"', "tftp.address", "an IPv4 address"),
    ('address = ""', "tftp.address", "an IPv4 address"),
    ("port = 0", "tftp.port", "from 1 to 65535"),
    ('address6 = "10.77.0.1"', "tftp.address6", "an IPv6 address"),
    ('address6 = "fe80::1::"', "tftp.address6", "an IPv6 address"),
    ('address6 = "fe80::1"', "tftp.address6", "a link-local address needs its interface behind it, as fe80::1%eth0"),
    ('address6 = "2001:db8::1%eth0"', "tftp.address6", "an interface stands behind link-local addresses alone"),
    ('address6 = "ff02::1"', "tftp.address6", "a multicast address"),
    ('address6 = "::ffff:10.0.0.1"', "tftp.address6", "an IPv4 address is given as tftp.address"),
    ('single_port = true\ndata_ports = "70"', "tftp.data_ports", 'must be "" with tftp.single_port'),
    ('data_ports = "69"', "tftp.data_ports", "must hold another port than tftp.port"),
    ('port = 7000\ndata_ports = "7000-7000"', "tftp.data_ports", "must hold another port than tftp.port"),
    ('remap = ["r a b", "r a \\\\9"]', "tftp.remap[2]", "\\9 stands for nothing"),
    ("remap = [1]", "tftp.remap", "a list, each a line as in the map file"),
    ("single_port = 1", "tftp.single_port", "true or false"),
    *(
        (f'data_ports = "{ports}"', "tftp.data_ports", "a UDP port, a range like")
        for ports in ("0", "65536", "9-8", "0-9", "1-65536", "1-", "-1", "1-2-3", "1 - 2", "all", "1,2", "\u0661")
    ),
    ("data_ports = 50000", "tftp.data_ports", "a UDP port, a range like"),
    ("spin = -1", "tftp.spin", "from 0 to 1000"),
    ("spin = 1001", "tftp.spin", "from 0 to 1000"),
    ("memory = 0", "tftp.memory", "from 1 to 65536"),
    ("blksize = 511", "tftp.blksize", "from 512 to 65464"),
    ("blksize = 65465", "tftp.blksize", "from 512 to 65464"),
    ("windowsize = 0", "tftp.windowsize", "from 1 to 4096"),
    ("windowsize = 4097", "tftp.windowsize", "from 1 to 4096"),
    ('refuse = ["multicast"]', "tftp.refuse", '"blksize", "timeout", "tsize", "windowsize"'),
    ('refuse = "tsize"', "tftp.refuse", "a list"),
    ("timeout = 0.09", "tftp.timeout", "from 0.1 to 60"),
    ("timeout = nan", "tftp.timeout", "from 0.1 to 60"),
    ("retries = 0", "tftp.retries", "from 1 to 100"),
    ("rollover = 2", "tftp.rollover", "from 0 to 1"),
    ("transfers = 0", "tftp.transfers", "from 1 to 65536"),
    ("transfers_per_client = 0", "tftp.transfers_per_client", "from 1 to 65536"),
    (
        "transfers = 7\ntransfers_per_client = 8",
        "tftp.transfers_per_client",
        "not be more than tftp.transfers, which is 7",
    ),
    ("requests_per_client = 0", "tftp.requests_per_client", "from 1 to 100000"),
    ('network = ["10.0.0.0/8"]', "tftp.network", "an array of tables"),
    ('[[network]]\nnetwork = "10.0.0.0/8"', "tftp.network[1].blksize", "it must be given"),
    ('[[network]]\nnetwork = "10.0.0.1/8"\nblksize = 600', "tftp.network[1].network", "the network is 10.0.0.0/8"),
    ("[[network]]\nnetwork = 167772160\nblksize = 600", "tftp.network[1].network", "a network like 10.9.0.0/16"),
    ('[[network]]\nnetwork = "fe80::%1/64"\nblksize = 600', "tftp.network[1].network", "or 2001:db8::/48"),
    (
        '[[network]]\nnetwork = "::ffff:10.0.0.0/104"\nblksize = 600',
        "tftp.network[1].network",
        "by their IPv4 addresses",
    ),
    ('[[network]]\nnetwork = "10.0.0.0/8"\nblksize = 511', "tftp.network[1].blksize", "from 512 to 65464"),
    (
        '[[network]]\nnetwork = "2001:db8::/32"\nblksize = 600\n[[network]]\nnetwork = "2001:0db8::/32"\nblksize = 700',
        "tftp.network[2].network",
        "must not be there twice",
    ),
    ("blocksize = 512", "tftp.blocksize", "did you mean tftp.blksize?"),
)
"""The file, the key in the message, a word of what is allowed."""


def read(document: str) -> TftpSettings:
    """The settings as they stand under ``[tftp]``."""
    return build(TftpSettings, tomllib.loads(document), "tftp.")


class Settings(SynchronousTestCase):
    """What is taken and what is refused."""

    def test_defaults(self) -> None:
        """With no settings TFTP is served, to everybody, in blocks that fit Ethernet."""
        settings = read("")
        self.assertEqual((settings.enabled, settings.root, settings.address), (True, "", IPv4Address(0)))
        self.assertEqual((settings.port, settings.blksize, settings.windowsize), (69, None, 64))
        self.assertEqual((settings.timeout, settings.retries), (Patience().first, Patience().retries))
        self.assertEqual((settings.rollover, settings.transfers, settings.refuse), (0, 4096, ()))

    def test_all_of_them(self) -> None:
        """Every key, and what ``--check`` prints is read back as the same."""
        settings = read(WHOLE)
        self.assertEqual((settings.enabled, settings.root, settings.port), (False, "/srv/tftp", 6969))
        self.assertEqual((settings.timeout, settings.retries, settings.rollover), (0.5, 3, 1))
        self.assertEqual((settings.refuse, settings.transfers), (("tsize", "blksize"), 12))
        for document in ("", WHOLE, LIMITS):
            self.assertEqual(read(dump(read(document))), read(document))

    def test_limits(self) -> None:
        """Blocks and limits of clients: by network, in either family, and what is left open."""
        settings = read(LIMITS)
        self.assertEqual((settings.blksize, settings.transfers_per_client, settings.requests_per_client), (None, 7, 30))
        self.assertEqual(
            [(str(each.network), each.blksize) for each in settings.network],
            [("10.9.0.0/16", 1024), ("2001:db8::/32", 1228)],
        )
        self.assertEqual((read("").transfers_per_client, read("").network), (None, ()))

    def test_ports(self) -> None:
        """Where files are sent from, and where else is listened."""
        settings = read("")
        self.assertEqual((settings.address6, settings.single_port, settings.spin), ("::", False, 60))
        for ports, expected in (("", [0]), ("7", [7]), ("50000-50002", [50000, 50001, 50002]), ("65535", [65535])):
            self.assertEqual(list(port_range(read(f'data_ports = "{ports}"').data_ports)), expected)
        self.assertEqual(read('data_ports = "69-70"').data_ports, "69-70")
        for address in ("", "::", "::1", "fd77::1", "fe80::1%eth0"):
            self.assertEqual(read(f'address6 = "{address}"').address6, address)

    def test_on_the_command_line(self) -> None:
        """Words instead of TOML."""
        document = override(override({}, ("enabled",), "false"), ("refuse",), "tsize,blksize")
        settings = build(TftpSettings, document, "tftp.")
        self.assertEqual((settings.enabled, settings.refuse), (False, ("tsize", "blksize")))

    def test_refused(self) -> None:
        """An error with the key and what is allowed."""
        for document, key, allowed in REFUSED:
            with self.assertRaises(ConfigError, msg=document) as caught:
                read(document)
            self.assertEqual(caught.exception.key, key, document)
            self.assertIn(allowed, caught.exception.allowed, document)
