"""Tests of `pixelboot.boot.settings`."""

from __future__ import annotations

import tomllib
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.architecture import Architecture
from pixelboot.boot.machine import Firmware, Machine
from pixelboot.boot.policy import BootPolicy
from pixelboot.boot.settings import LONGEST_URL, BootSettings, LoaderSettings, quoted
from pixelboot.config import ConfigError, build, declared, dump

LONG = "f" * 127
PXE = ("bios", *(f"uefi-{kind}" for kind in ("ia32", "x64", "arm32", "arm64", "riscv32", "riscv64", "loong64")))
HTTP = tuple(key.replace("uefi-", "uefi-http-") for key in PXE[1:])

NO_MACHINES = ("0.0.0.0", "0.0.0.1", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255")
"""What no server's address can be."""

TAKEN: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", (*PXE, *HTTP, "ipxe")),
    ("a.efi", (*PXE, *HTTP)),
    ("a/b/c-d_e+f.efi", (*PXE, *HTTP)),
    ("..a/b..", (*PXE, *HTTP)),
    (LONG, (*PXE, *HTTP)),
    ("f" * 82 + "%" * 45, (*PXE, *HTTP)),
    ("tftp://127.0.0.7/a.efi", (*PXE, "ipxe")),
    ("http://127.0.0.7/a", (*HTTP, "ipxe")),
    ("tftp://192.0.2.9/a/b.efi", (*PXE, "ipxe")),
    (f"tftp://192.0.2.9/{LONG}", (*PXE, "ipxe")),
    ("tftp://h.test/a.ipxe", ("ipxe",)),
    ("tftp://192.0.2.9:69/a.ipxe", ("ipxe",)),
    ("http://192.0.2.9/a", (*HTTP, "ipxe")),
    ("https://h.test:8443/a?b=c", (*HTTP, "ipxe")),
    ("http://" + "h" * 247, (*HTTP, "ipxe")),
)
"""A value, and the keys that take it; all others refuse it."""

REFUSED = (
    *("/a.efi", "a//b", "a/", "./a", "a/../b", "..", "a\\b", "a b", "a\nb", "ä.efi", LONG + "f"),
    *("ftp://192.0.2.9/a", "http://", "http:///a", "http://192.0.2.9:0/a", "http://192.0.2.9:x/a", "http://[/a"),
    *("tftp://192.0.2.9", "tftp://192.0.2.9/", "tftp://192.0.2.9/../a", "tftp://192.0.2.9/a?b", "://", "http://h a/"),
    *(f"tftp://{address}/a" for address in NO_MACHINES),
    *("%" * 127, "f" * 81 + "%" * 46),
    *("http://h.test/ä", "http://" + "h" * 248, "tftp://192.0.2.9/" + LONG + "f"),
)
"""What no loader of PXE firmware can be, and most of it nobody's."""


class BootSettingsTests(SynchronousTestCase):
    """``[boot]``."""

    def test_defaults(self) -> None:
        """Nothing said: the machine's own disk, after ten seconds, and loaders from here."""
        expected = BootSettings(default="local", timeout=10.0, tftp_server=None, loaders=LoaderSettings())
        self.assertEqual(build(BootSettings, {}), expected)

    def test_table(self) -> None:
        """A container's id is a text; the time-out may be a fraction, or 0 for ever, and has an end."""
        cases: list[tuple[dict[str, object], str | None]] = [
            ({"default": "debian"}, None),
            ({"default": "shell", "timeout": 0}, None),
            ({"timeout": 0.5}, None),
            ({"timeout": 3600}, None),
            ({"timeout": 3601}, "timeout"),
            ({"timeout": -1}, "timeout"),
            ({"timeout": "10"}, "timeout"),
            ({"default": 1}, "default"),
            ({"tftp_server": "tftp.lab.test"}, "tftp_server"),
            ({"loaders": {"uefi-x86": "a"}}, "loaders.uefi-x86"),
            ({"loaders": {"uefi_x64": "a"}}, "loaders.uefi_x64"),
        ]
        for document, wrong in cases:
            if wrong is None:
                built = build(BootSettings, document)
                for key, value in document.items():
                    self.assertEqual(getattr(built, key), value, str(document))
            else:
                error = self.assertRaises(ConfigError, build, BootSettings, document)
                self.assertEqual(error.key, wrong, str(document))
        self.assertEqual(build(BootSettings, {"tftp_server": "192.0.2.9"}).tftp_server, IPv4Address("192.0.2.9"))
        self.assertIsNone(build(BootSettings, {"tftp_server": ""}).tftp_server)
        self.assertEqual(build(BootSettings, {"tftp_server": "127.0.0.7"}).tftp_server, IPv4Address("127.0.0.7"))

    def test_addresses_of_no_machine(self) -> None:
        """Nobody could fetch anything from there: the message has the key, the value and what is allowed."""
        for address in NO_MACHINES:
            error = self.assertRaises(ConfigError, build, BootSettings, {"tftp_server": address}, "boot.")
            self.assertEqual(
                str(error),
                f'boot.tftp_server = "{address}": must be an IPv4 address like 10.77.0.1, or "" for none '
                f"(no machine has the address {address})",
            )
            for key, scheme in (("bios", "tftp"), ("ipxe", "tftp"), ("ipxe", "http"), ("uefi-http-x64", "http")):
                document = {"loaders": {key: f"{scheme}://{address}/a"}}
                error = self.assertRaises(ConfigError, build, BootSettings, document, "boot.")
                self.assertEqual(error.key, f"boot.loaders.{key}")
                self.assertIn(f"(no machine has the address {address})", str(error))


class LoaderSettingsTests(SynchronousTestCase):
    """``[boot.loaders]``."""

    def test_every_architecture_has_its_keys(self) -> None:
        """One for PXE, and one for HTTP boot but of BIOS, which has none."""
        self.assertEqual([setting.path[0] for setting in declared(LoaderSettings)], [*PXE, *HTTP, "ipxe"])
        self.assertEqual([str(architecture) for architecture in Architecture], list(PXE))
        loaders = LoaderSettings()
        for architecture in Architecture:
            self.assertEqual(loaders.http(architecture), loaders.pxe(architecture))

    def test_a_key_is_its_architecture(self) -> None:
        """What is set for one is nobody else's."""
        for architecture in Architecture:
            loaders = build(LoaderSettings, {str(architecture): "own.efi"})
            for other in Architecture:
                self.assertEqual(loaders.pxe(other) == "own.efi", other is architecture, f"{architecture} {other}")
            if architecture is not Architecture.BIOS:
                loaders = build(LoaderSettings, {architecture.replace("uefi-", "uefi-http-"): "own.efi"})
                self.assertEqual(loaders.http(architecture), "own.efi")
                self.assertNotEqual(loaders.pxe(architecture), "own.efi")

    def test_taken(self) -> None:
        """By these keys and no others."""
        for value, keys in TAKEN:
            for key in (*PXE, *HTTP, "ipxe"):
                if key in keys:
                    loaders = build(LoaderSettings, {key: value})
                    self.assertEqual(build(LoaderSettings, self.parsed(loaders)), loaders, f"{key} {value}")
                else:
                    error = self.assertRaises(ConfigError, build, LoaderSettings, {key: value}, "boot.loaders.")
                    self.assertEqual(error.key, f"boot.loaders.{key}", value)

    def test_refused(self) -> None:
        """With the key, and no other error than that."""
        for value in REFUSED:
            error = self.assertRaises(ConfigError, build, LoaderSettings, {"uefi-x64": value})
            self.assertEqual(error.key, "uefi-x64", value)

    @given(st.text(max_size=40) | st.builds("{}://{}".format, st.sampled_from(("http", "tftp")), st.text(max_size=20)))
    def test_any_text(self, value: str) -> None:
        """Is taken or refused; what PXE firmware takes fits into the ``file`` field."""
        for key in ("uefi-x64", "uefi-http-x64", "ipxe"):
            try:
                build(LoaderSettings, {key: value})
            except ConfigError as problem:
                self.assertEqual(problem.key, key)
            else:
                self.assertTrue(value.isascii() and value.isprintable() and len(value) < 255)

    def test_the_longest_url_of_a_name(self) -> None:
        """What is taken as a name fits into one option as a URL of this server, at whatever address and port."""
        server, machine = IPv4Address("255.255.255.255"), Machine("", None, Firmware.HTTP, None, Architecture.UEFI_X64)

        async def holds(name: str) -> bool:
            return True

        for name in (LONG, "f" * 82 + "%" * 45, "/".join("[%]^{|}`<>" * 4)[:79] + "f" * 9):
            loaders = build(LoaderSettings, {"uefi-x64": name})
            assigned = BootPolicy(BootSettings(loaders=loaders), 65535, True, holds).assign(machine, server)
            url = self.successResultOf(Deferred.fromCoroutine(assigned)).boot_file or ""
            self.assertEqual(url, f"http://255.255.255.255:65535/loaders/{quoted(name)}")
            self.assertLessEqual(len(url), LONGEST_URL, name)

    def parsed(self, loaders: LoaderSettings) -> dict[str, object]:
        """The settings as they are written down."""
        return tomllib.loads(dump(loaders))
