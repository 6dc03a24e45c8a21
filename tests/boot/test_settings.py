"""Tests of `pixelboot.boot.settings`."""

from __future__ import annotations

import tomllib
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.architecture import Architecture
from pixelboot.boot.settings import BootSettings, LoaderSettings
from pixelboot.config import ConfigError, build, declared, dump

LONG = "f" * 127
PXE = ("bios", *(f"uefi-{kind}" for kind in ("ia32", "x64", "arm32", "arm64", "riscv32", "riscv64", "loong64")))
HTTP = tuple(key.replace("uefi-", "uefi-http-") for key in PXE[1:])

TAKEN: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", (*PXE, *HTTP, "ipxe")),
    ("a.efi", (*PXE, *HTTP)),
    ("a/b/c-d_e+f.efi", (*PXE, *HTTP)),
    ("..a/b..", (*PXE, *HTTP)),
    (LONG, (*PXE, *HTTP)),
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

    def parsed(self, loaders: LoaderSettings) -> dict[str, object]:
        """The settings as they are written down."""
        return tomllib.loads(dump(loaders))
