"""Tests of `pixelboot.library.settings`."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import ConfigError, Words, build, dump
from pixelboot.library.settings import (
    LARGEST_CACHE,
    LARGEST_SIDE,
    SMALLEST_CACHE,
    ContainersSettings,
    size_in_octets,
    spelled,
    worded,
)

HEX = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"
LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"


class ContainersSettingsTests(SynchronousTestCase):
    """``[containers]``."""

    def test_defaults(self) -> None:
        self.assertEqual(
            build(ContainersSettings, {}),
            ContainersSettings(side_limit=16384, cache_size=20 * 1024**3, trusted_keys=(), poll=False),
        )
        self.assertEqual(tomllib.loads(dump(ContainersSettings()))["cache_size"], "20 GiB")

    def test_read(self) -> None:
        """In the file and on the command line; and what is written of it reads the same."""
        for document, settings in (
            ({"cache_size": "64 MiB"}, ContainersSettings(cache_size=64 << 20)),
            ({"cache_size": "500 MB"}, ContainersSettings(cache_size=500_000_000)),
            ({"cache_size": "1.5GiB"}, ContainersSettings(cache_size=3 << 29)),
            ({"cache_size": "0.1 GB"}, ContainersSettings(cache_size=10**8)),
            ({"cache_size": "70000001 B"}, ContainersSettings(cache_size=70_000_001)),
            ({"cache_size": "70000 kB"}, ContainersSettings(cache_size=70_000_000)),
            ({"cache_size": "1 PiB"}, ContainersSettings(cache_size=1 << 50)),
            ({"cache_size": 70_000_001}, ContainersSettings(cache_size=70_000_001)),
            ({"cache_size": Words("70000001")}, ContainersSettings(cache_size=70_000_001)),
            ({"cache_size": Words("2 GiB")}, ContainersSettings(cache_size=2 << 30)),
            ({"side_limit": 4}, ContainersSettings(side_limit=4)),
            ({"side_limit": LARGEST_SIDE}, ContainersSettings(side_limit=16384)),
            ({"poll": True}, ContainersSettings(poll=True)),
            ({"trusted_keys": [HEX, HEX.upper()]}, ContainersSettings(trusted_keys=(HEX, HEX.upper()))),
            (
                {"trusted_keys": [LINE, f"{LINE} me, at"]},
                ContainersSettings(trusted_keys=(LINE, f"{LINE} me, at")),
            ),
            ({"trusted_keys": ["/etc/key.pub"]}, ContainersSettings(trusted_keys=("/etc/key.pub",))),
            ({"trusted_keys": Words(f"{HEX}, /k")}, ContainersSettings(trusted_keys=(HEX, "/k"))),
        ):
            self.assertEqual(build(ContainersSettings, document), settings, document)
            self.assertEqual(build(ContainersSettings, tomllib.loads(dump(settings))), settings, document)

    def test_sizes_that_are_refused(self) -> None:
        allowed = 'must be a size like "20 GiB" or "500 MB", or a whole number of octets, from 64 MiB to 1 PiB'
        units = " (the units are B, kB, MB, GB, TB, PB, KiB, MiB, GiB, TiB, PiB)"
        for value, why in (
            (SMALLEST_CACHE - 1, ""),
            (LARGEST_CACHE + 1, ""),
            ("63.99 MiB", " (that is no whole number of octets)"),
            ("63 MiB", ""),
            ("1025 TiB", ""),
            ("1 KB", units),
            ("1 gib", units),
            ("1 XiB", units),
            ("70000000", ""),
            ("", ""),
            ("GiB", ""),
            ("-1 GiB", ""),
            ("1e3 GiB", ""),
            ("1  GiB", ""),
            ("1 GiB ", ""),
            ("1 GiB\n", ""),
            ("٣ GiB", ""),
            ("9" * 400 + " GiB", ""),
            (True, ""),
            (1e9, ""),
            (None, ""),
            ([], ""),
            (Words("-70000000"), ""),
            (Words("9" * 31), ""),
            (Words("٣" * 9), ""),
            (Words("9" * 5000), ""),
        ):
            error = self.assertRaises(ConfigError, build, ContainersSettings, {"cache_size": value})
            self.assertEqual(error.allowed, allowed + why, value)

    def test_keys_that_are_refused(self) -> None:
        for key in (
            *("", "key.pub", "/", "./key", HEX[1:], f"{HEX}0", f"g{HEX[1:]}", f"{HEX}\n", LINE[:-1], LINE[12:]),
            *(LINE.replace("ed25519", "rsa"), f"{LINE}\n{LINE}", "-----BEGIN PUBLIC KEY-----", "/a\n/b", "\udcff", 5),
        ):
            error = self.assertRaises(ConfigError, build, ContainersSettings, {"trusted_keys": [key]})
            self.assertIn("must be a list, each an Ed25519 public key: 64 hex digits", str(error), key)

    def test_others_that_are_refused(self) -> None:
        for document, message in (
            ({"side_limit": 3}, "side_limit = 3: must be a whole number from 4 to 16384"),
            ({"side_limit": 16385}, "side_limit = 16385: must be a whole number from 4 to 16384"),
            ({"poll": 1}, "poll = 1: must be true or false"),
            ({"cache": 1}, "cache = 1: there is no such setting; did you mean cache_size?"),
        ):
            error = self.assertRaises(ConfigError, build, ContainersSettings, document)
            self.assertEqual(str(error), message)


class SizesTests(SynchronousTestCase):
    """Any size, and any text."""

    @given(st.integers(0, 1 << 60) | st.integers(0, 50).map(lambda power: 3 << power))
    def test_spelled(self, octets: int) -> None:
        """What is shown reads the same."""
        self.assertEqual(size_in_octets(0, 1 << 60).parse(spelled(octets)), octets)

    def test_worded(self) -> None:
        """In a sentence there is always a unit; to a setting nothing of it is nothing without one."""
        self.assertEqual([worded(octets) for octets in (0, 1001, 64 << 20)], ["0 octets", "1001 octets", "64 MiB"])
        self.assertEqual([size_in_octets(0, 9).parse(nothing) for nothing in (0, "0", "0 MiB")], [0, 0, 0])

    @given(st.text(max_size=20) | st.text("019. kKMGiB", max_size=12))
    def test_any_text(self, words: str) -> None:
        kind = size_in_octets(0, 1 << 60)
        try:
            octets = kind.parse(kind.from_text(words))
        except ValueError:
            return
        self.assertTrue(0 <= octets <= 1 << 60, words)
